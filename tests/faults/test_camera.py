"""Cameras with faults beside a good one, with an old ffmpeg and a new one.

Faults are reported, harm no other camera, and end by themselves. The tests are stages of one story. Both ffmpegs go
through it at the same time, since most of it is waiting.
"""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

import imageio_ffmpeg
import pytest
from support.camera import Camera
from support.mirror import PASSWORD, Mirror
from support.odd_camera import OddCamera, odd_cameras
from support.recordings import gaps, packets
from support.running import ffmpegs, kill, recorders
from support.users import new_mirror
from support.waiting import PATIENCE_SECONDS, wait_for

from heldar_mirror.recorder.media import FIRST_KEYFRAME_SECONDS, STALL_SECONDS, STALLED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


FFMPEGS = {"debian": "ffmpeg", "newest": imageio_ffmpeg.get_ffmpeg_exe()}


SOME_FOOTAGE = 500_000


WRONG = "wr/ong@pass:word"


# What `status` says about each fault: ffmpeg's own words, and what to do.
REASONS = {
    "refusing": ("Connection refused", "is the camera on"),
    "unplugged": ("Connection refused", "is the camera on"),
    "silent": ("ended after [1-9]\\d+ s.*(timed out|Invalid data found)", ""),
    "garbling": ("Invalid data found when processing input", "what answers there does not speak RTSP"),
    "mistyped": ("401 .?Unauthorized", "the camera refuses the user or the password"),
    "speaking": ("Could not find tag for codec pcm_alaw", "set record_audio to 0"),
}


# The cameras whose ffmpeg never ends by itself. The one that babbles sends no frame at all, which may take longer.
STALLING = {"stalling": STALL_SECONDS, "babbling": FIRST_KEYFRAME_SECONDS}


every_ffmpeg = pytest.mark.parametrize("ffmpeg", FFMPEGS)


@dataclass
class Story:
    """A mirror for each ffmpeg, and the cameras that all of them record, by name. The camera `good` has no fault."""

    mirrors: dict[str, Mirror]
    camera: Camera
    odd: dict[str, OddCamera]
    taken_down: contextlib.ExitStack
    good: dict[str, tuple[int, list[int]]] = field(default_factory=dict)
    outage: float = 0


@pytest.fixture(scope="module")
def failing() -> Iterator[Story]:
    """The cameras that recorded have begun to fail, and those that never worked fail too. The good camera records."""
    with contextlib.ExitStack() as stack:
        camera = Camera()
        stack.callback(camera.unplug)
        camera.plug_in()
        odd = stack.enter_context(
            odd_cameras(
                camera.port,
                refusing="refuses",
                unplugged="well",
                silent="silent",
                garbling="garbage",
                babbling="babbles",
                stalling="well",
            )
        )
        mirrors = {name: stack.enter_context(new_mirror()) for name in FFMPEGS}
        story = Story(mirrors, camera, odd, stack.enter_context(contextlib.ExitStack()))
        for name, mirror in mirrors.items():
            mirror.env["HELDAR_FFMPEG_BIN"] = FFMPEGS[name]
            for camera_id, faulty in odd.items():
                mirror.database.add(camera_id, rtsp_port=faulty.port, segment_seconds=10)
            audio_url = f"rtsp://admin:{quote(PASSWORD, safe='')}@127.0.0.1:{camera.port}/audio"
            mirror.database.add("good", rtsp_port=camera.port, segment_seconds=10)
            mirror.database.add("mistyped", rtsp_port=camera.port, segment_seconds=10, password=WRONG)
            mirror.database.add("speaking", main_stream_url=audio_url, segment_seconds=10, record_audio=1)
            story.taken_down.enter_context(mirror.up(watched=True))
        for name, mirror in mirrors.items():
            wait_for_footage(mirror, "good", "unplugged", "stalling")
            # At first timestamps may jump. ffmpeg ends then, since two segments can't begin in the same second.
            wait_for_footage(mirror, "good", "unplugged", "stalling")
            story.good[name] = recorders(mirror)["good"], ffmpegs(mirror, "good")
            kill(ffmpegs(mirror, "stalling")[0])
        odd["unplugged"].become("refuses")
        story.outage = -time.monotonic()
        for mirror in mirrors.values():
            wait_for_footage(mirror, "stalling")
        odd["stalling"].become("stalled")
        yield story


@pytest.fixture(scope="module")
def mended(failing: Story) -> Story:
    """The cameras that could not be recorded are well again. Those that stall still do."""
    for mirror in failing.mirrors.values():
        wait_until_told(mirror)
        wait_for(partial(is_waited_for, mirror, "unplugged"))
    for name in ("refusing", "unplugged", "silent", "garbling"):
        failing.odd[name].become("well")
    failing.outage += time.monotonic()
    for mirror in failing.mirrors.values():
        mirror.database.update("mistyped", password=PASSWORD)
        mirror.database.update("speaking", record_audio=0)
    return failing


@pytest.fixture(scope="module")
def flowing(mended: Story) -> Story:
    """Every camera is well again, after the ffmpegs of those that stalled were ended."""
    for mirror in mended.mirrors.values():
        for camera_id in STALLING:
            wait_for_stall(mirror, camera_id)
    for name in STALLING:
        mended.odd[name].become("well")
    return mended


@pytest.fixture(scope="module")
def ended(flowing: Story) -> Story:
    """All cameras recorded at the end, and the mirrors are down."""
    for mirror in flowing.mirrors.values():
        wait_for_footage(mirror, *flowing.odd, "good", "mistyped", "speaking")
    flowing.taken_down.close()
    return flowing


def wait_for_footage(mirror: Mirror, *camera_ids: str) -> None:
    """Wait until each camera has some four more seconds of footage on disk."""

    def size(camera_id: str) -> int:
        total = 0
        for segment in mirror.segments(camera_id):
            with contextlib.suppress(FileNotFoundError):  # a stub that was removed
                total += segment.stat().st_size
        return total

    def sizes() -> list[int]:
        return list(map(size, camera_ids))

    before = sizes()
    wait_for(
        lambda: all(now > size + SOME_FOOTAGE for now, size in zip(sizes(), before, strict=True)), seen=mirror.status
    )


def published(mirror: Mirror, camera_id: str) -> dict[str, Any]:
    """Return a camera's status as the watcher published it. To run `status` is too slow for a test that waits."""
    report = json.loads((mirror.state / "status/status.json").read_text())
    empty = {"activity": None, "last_error": None, "well": False}
    return next((camera for camera in report["cameras"] if camera["camera_id"] == camera_id), empty)


def wait_until_told(mirror: Mirror) -> None:
    """Wait until the status gives a reason for each camera that fails."""
    wait_for(lambda: all(published(mirror, camera_id)["last_error"] for camera_id in REASONS))


def is_waited_for(mirror: Mirror, camera_id: str) -> bool:
    """Return whether a camera's recorder waits for it."""
    return bool(published(mirror, camera_id)["activity"] == "waiting")


def note_of(mirror: Mirror, camera_id: str) -> str:
    """Return the note of `status` on a camera, which stands below its table."""
    lines = mirror.run("status", code=None).stdout.splitlines()
    return next((line for line in lines if line.startswith(f"{camera_id}: ")), "")


def wait_for_stall(mirror: Mirror, camera_id: str) -> None:
    """Wait until a camera's recorder has ended its ffmpeg because the camera sends no media."""
    wait_for(lambda: STALLED in log_of(mirror, camera_id), seconds=STALLING[camera_id] + PATIENCE_SECONDS)


def log_of(mirror: Mirror, camera_id: str) -> str:
    return (mirror.logs / f"mirror-{camera_id}.log").read_text()


@every_ffmpeg
@pytest.mark.parametrize("camera_id", REASONS)
def test_the_reason_is_told(failing: Story, ffmpeg: str, camera_id: str) -> None:
    """`status` says why a camera is not recorded, in ffmpeg's own words and with what to do."""
    mirror = failing.mirrors[ffmpeg]
    words, advice = REASONS[camera_id]
    wait_for(lambda: re.search(words, published(mirror, camera_id)["last_error"] or ""))
    wait_for(lambda: re.search(f"{words}.* → .*{advice}", note_of(mirror, camera_id)))
    assert not published(mirror, camera_id)["well"]


@every_ffmpeg
@pytest.mark.parametrize("camera_id", ["refusing", "unplugged"])
def test_no_ffmpeg_is_spent_on_a_camera_that_is_away(failing: Story, ffmpeg: str, camera_id: str) -> None:
    """No ffmpeg is started for a camera that is away. Its recorder tries to connect, for as long as it takes."""
    mirror = failing.mirrors[ffmpeg]
    wait_for(lambda: "no connection to the camera" in log_of(mirror, camera_id))
    tries = log_of(mirror, camera_id).count("ffmpeg ended")
    wait_for(partial(is_waited_for, mirror, camera_id))
    time.sleep(3)
    assert log_of(mirror, camera_id).count("ffmpeg ended") == tries
    assert camera_id == "unplugged" or not tries
    assert camera_id in recorders(mirror)
    assert not ffmpegs(mirror, camera_id)


@every_ffmpeg
def test_tries_leave_no_stubs(failing: Story, ffmpeg: str) -> None:
    """However often a recording fails, no stub is left but that of the try that is under way."""
    mirror = failing.mirrors[ffmpeg]
    wait_for(lambda: log_of(mirror, "speaking").count("ffmpeg ended") >= 4)
    assert len(mirror.segments("speaking")) <= 1
    for camera_id in ("refusing", "silent", "garbling", "mistyped"):
        assert not mirror.segments(camera_id)


@every_ffmpeg
def test_no_password_is_shown(failing: Story, ffmpeg: str) -> None:
    """Whatever a camera answers, no password is shown or logged."""
    mirror = failing.mirrors[ffmpeg]
    wait_until_told(mirror)
    files = [path for path in mirror.state.rglob("*") if path.is_file() and path.suffix != ".spec"]
    texts = {path.name: path.read_text() for path in files}
    assert {"mirror-silent.log", "mirror-mistyped.log", "watch.log", "status.json", "programs.conf"} <= texts.keys()
    texts |= {"status": mirror.run("status", code=1).stdout, "json": str(mirror.status()), "up": mirror.up_log()}
    secrets = [form for password in (PASSWORD, WRONG) for form in (password, quote(password, safe=""))]
    assert not [(name, secret) for name, text in texts.items() for secret in secrets if secret in text]


@every_ffmpeg
def test_the_good_camera_is_unharmed_meanwhile(failing: Story, ffmpeg: str) -> None:
    """While all others fail, a good camera keeps its recorder and its ffmpeg, and its footage grows."""
    mirror = failing.mirrors[ffmpeg]
    wait_for_footage(mirror, "good")
    assert (recorders(mirror)["good"], ffmpegs(mirror, "good")) == failing.good[ffmpeg]
    assert mirror.status()["good"]["well"]


@every_ffmpeg
@pytest.mark.parametrize("camera_id", REASONS)
def test_it_is_back_by_itself(mended: Story, ffmpeg: str, camera_id: str) -> None:
    """As soon as a camera is well again, or its row was corrected, it is recorded. Nobody has to do anything."""
    mirror = mended.mirrors[ffmpeg]
    wait_for(lambda: published(mirror, camera_id)["well"])
    wait_for_footage(mirror, camera_id)


@every_ffmpeg
@pytest.mark.parametrize("camera_id", STALLING)
def test_a_stall_is_ended_and_told(mended: Story, ffmpeg: str, camera_id: str) -> None:
    """An ffmpeg is replaced that would never end: the camera sends no media but goes on with RTCP, or babbles."""
    mirror = mended.mirrors[ffmpeg]
    wait_for_stall(mirror, camera_id)
    wait_for(lambda: published(mirror, camera_id)["activity"] == "stalled")
    wait_for(lambda: re.search(f"{STALLED}.* → restart the camera", note_of(mirror, camera_id)))
    assert len(ffmpegs(mirror, camera_id)) <= 1


@every_ffmpeg
@pytest.mark.parametrize("camera_id", STALLING)
def test_a_stall_is_over_by_itself(flowing: Story, ffmpeg: str, camera_id: str) -> None:
    """As soon as the media flow again, they are recorded."""
    mirror = flowing.mirrors[ffmpeg]
    wait_for(lambda: published(mirror, camera_id)["well"])
    wait_for_footage(mirror, camera_id)


@every_ffmpeg
def test_the_good_camera_was_unharmed_throughout(flowing: Story, ffmpeg: str) -> None:
    """After all the faults of other cameras, and all that was done about them, a good camera still has its first
    processes."""
    mirror = flowing.mirrors[ffmpeg]
    assert (recorders(mirror)["good"], ffmpegs(mirror, "good")) == flowing.good[ffmpeg]
    wait_for(lambda: json.loads((mirror.state / "status/status.json").read_text())["well"])
    assert "9 of 9 mirrors record" in mirror.run("status").stdout


@every_ffmpeg
def test_no_stub_is_left(ended: Story, ffmpeg: str) -> None:
    """In the end every file holds footage, whatever its camera did and however its ffmpeg ended."""
    mirror = ended.mirrors[ffmpeg]
    assert len(list(mirror.root.glob("*/*.mp4"))) > 9
    assert not [path for path in mirror.root.glob("*/*.mp4") if b"moof" not in path.read_bytes()]


@every_ffmpeg
def test_what_was_sent_was_recorded(ended: Story, ffmpeg: str) -> None:
    """What is recorded of a camera lacks what was sent while it was away. The test prints how long that is."""
    mirror = ended.mirrors[ffmpeg]
    good = packets(mirror.segments("good"))
    print(f"\n{ffmpeg}: unplugged for {ended.outage:.1f} s")
    for camera_id in ("unplugged", "stalling"):
        lacking = [gap for gap in gaps(good, packets(mirror.segments(camera_id))) if gap > 0.2]
        print(f"{ffmpeg}: {camera_id}: lacks {', '.join(f'{gap:.1f} s' for gap in lacking)}")
        assert lacking
