"""A mirror and the loop of Heldar's kernel, which record the same odd cameras at the same time."""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from support.camera import ScriptedCamera
from support.loop import Loop, loop_beside
from support.mirror import Mirror
from support.recordings import closed_digests, count_packets, digests
from support.running import ffmpegs
from support.scripted_camera import PROFILES
from support.waiting import wait_for


@dataclass(frozen=True)
class Case:
    """A camera: its profile of scripted_camera.py, its row's length of a segment, and who records it.

    `first` says who begins: `mirror`; `loop`, as a primary that recorded before its mirror did; or `nobody`, if only
    the mirror records it.
    """

    profile: str
    segment_seconds: int
    first: str = "mirror"

    @property
    def id(self) -> str:
        return f"{self.profile}_{self.segment_seconds}"


@dataclass(frozen=True)
class Outcome:
    """What was seen of one case: the packets that mirror and loop kept, and what happened at the camera.

    If the mirror began, `ours` lacks what was sent until the loop began as well.
    `complaints` is what ffprobe said about the mirror's segments, and `overwritten` names those that changed after they
    had been closed. `status` and `note` are what `status` said at the end.
    """

    ours: int
    theirs: int
    complaints: str
    overwritten: list[str]
    status: dict[str, Any]
    note: str
    events: list[str] = field(repr=False)


def record_beside(mirror: Mirror, camera: ScriptedCamera, cases: Sequence[Case], seconds: float) -> dict[Case, Outcome]:
    """Record cameras by a mirror and by the loop beside it, for so many seconds from when both have begun."""
    path = mirror.home.name
    for case in cases:
        url = camera.url(f"{case.profile}/{path}/{case.segment_seconds}")
        enabled = int(case.first != "loop")
        mirror.database.add(case.id, main_stream_url=url, segment_seconds=case.segment_seconds, mirror_enabled=enabled)
    with loop_beside(mirror, without=[case.id for case in cases if case.first == "nobody"]) as loop:
        with _both_up(mirror, loop, cases):
            time.sleep(seconds / 2)
            closed = closed_digests(mirror.root)
            time.sleep(seconds / 2)
            status, text = mirror.status(), mirror.run("status", code=None).stdout
        overwritten = [path for path, digest in digests(closed).items() if digest != closed[path]]
        outcomes = {}
        for case in cases:
            ours, complaints = count_packets(mirror.segments(case.id))
            theirs, _ = count_packets(sorted((loop.root / case.id).glob("*.mp4")))
            timed = camera.timed_events(f"{case.profile}/{path}/{case.segment_seconds}")
            outcomes[case] = Outcome(
                ours - alone_packets(case, timed),
                theirs,
                complaints,
                [file.name for file in overwritten if file.parent.name == case.id],
                status[case.id],
                next((line for line in text.splitlines() if line.startswith(f"{case.id}: ")), ""),
                [event for _, event in timed],
            )
    return outcomes


def alone_packets(case: Case, events: list[tuple[float, str]]) -> int:
    """Return how many packets were sent to the mirror, if it began, until the loop began.

    A camera whose media stop some time after each connection sends the same to both, whoever begins.
    """
    if case.first != "mirror" or math.isfinite(PROFILES[case.profile].media_for):
        return 0
    begun = [at for at, event in events if event == "plays"][:2]
    return round((begun[1] - begun[0]) * PROFILES[case.profile].rate)


@contextlib.contextmanager
def _both_up(mirror: Mirror, loop: Loop, cases: Sequence[Case]) -> Iterator[None]:
    up, looping = contextlib.ExitStack(), contextlib.ExitStack()
    try:
        up.enter_context(mirror.up(watched=True))
        wait_for(lambda: all(ffmpegs(mirror, case.id) for case in cases if case.first == "mirror"))
        looping.enter_context(loop.up())
        late = [case for case in cases if case.first == "loop"]
        wait_for(lambda: all(list((loop.root / case.id).glob("*.mp4")) for case in late))
        for case in late:
            mirror.database.update(case.id, mirror_enabled=1)
        yield
    finally:
        with ThreadPoolExecutor() as both:
            ends = [both.submit(one.close) for one in (up, looping)]
        for end in ends:
            end.result()
