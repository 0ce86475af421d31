"""Odd cameras, with an old ffmpeg and a new one: the mirror keeps at least what the loop of Heldar's kernel keeps.

All are recorded at the same time, by the mirror and by the loop beside it. Where a camera allows one session, or locks
out who logs in with a wrong password, the mirror steps back instead, for the primary's sake.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.beside import Case, Outcome, record_beside
from support.camera import ScriptedCamera
from support.scripted_camera import PROFILES
from support.users import new_mirror

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FFMPEGS = {"debian": "ffmpeg", "newest": imageio_ffmpeg.get_ffmpeg_exe()}
SECONDS = 150

# Mirror and loop neither begin nor end at the same frame. Each begins with a keyframe, and its ffmpeg may take a second
# more or less to start and to end.
SLACK_SECONDS = 5

STEADY = [
    *[Case("plain", 10), Case("key75", 10), Case("key100", 10), Case("joined", 10), Case("dark", 60), Case("slow", 10)],
    *[Case("md5", 10), Case("sha256_first", 10)],
]
KEPT = [
    *STEADY,
    *[Case("rate5", 4), Case("rate5", 5), Case("rate2", 4), Case("rate1", 5), Case("rate1", 2)],
    *[Case("stray", 10), Case("stray", 60), Case("twice", 10), Case("fourfold", 10), Case("eightfold", 2)],
    *[Case("still", 10), Case("back", 10), Case("forth", 10), Case("saw", 10), Case("burst", 10), Case("mute", 10)],
]
ONE_SESSION = [Case("newest", 10, "loop"), Case("first", 10, "loop")]
REFUSING = [Case(name, 10, "nobody") for name in ("wrong", "sha256", "sha256_last", "busy453", "busy503")]

Outcomes = dict[str, dict[Case, Outcome]]


def named(case: Case) -> str:
    return case.id


every_ffmpeg = pytest.mark.parametrize("ffmpeg", FFMPEGS)
every_kept = pytest.mark.parametrize("case", KEPT, ids=named)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """What became of each case, with each ffmpeg."""
    camera = ScriptedCamera(log=tmp_path_factory.mktemp("camera") / "log")
    camera.plug_in()
    try:
        with ThreadPoolExecutor() as pool:
            runs = {name: pool.submit(outcomes_with, ffmpeg, camera) for name, ffmpeg in FFMPEGS.items()}
        yield {name: run.result() for name, run in runs.items()}
    finally:
        camera.unplug()


def outcomes_with(ffmpeg: str, camera: ScriptedCamera) -> dict[Case, Outcome]:
    with new_mirror() as mirror:
        mirror.env["HELDAR_FFMPEG_BIN"] = ffmpeg
        found = record_beside(mirror, camera, [*KEPT, *ONE_SESSION, *REFUSING], SECONDS)
        for case, outcome in found.items():
            print(f"{Path(ffmpeg).name} {case.id}: {outcome.ours} to {outcome.theirs} packets")
        return found


def slack(case: Case) -> int:
    return SLACK_SECONDS * PROFILES[case.profile].rate


@every_ffmpeg
@every_kept
def test_the_mirror_keeps_what_the_loop_keeps(outcomes: Outcomes, ffmpeg: str, case: Case) -> None:
    """However odd a camera is, its mirror has at least the packets that the loop has."""
    outcome = outcomes[ffmpeg][case]
    assert outcome.ours >= outcome.theirs - slack(case), outcome
    assert outcome.ours > slack(case), outcome


@every_ffmpeg
@every_kept
def test_its_segments_are_whole(outcomes: Outcomes, ffmpeg: str, case: Case) -> None:
    """Each segment can be read, and none was changed after it had been closed."""
    outcome = outcomes[ffmpeg][case]
    assert not outcome.complaints
    assert not outcome.overwritten
