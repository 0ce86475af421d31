"""`heldar-mirror verify` on two real recordings that differ as a whole: in their sound, or in how they were encoded."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.made_footage import begun_of, camera_directory
from support.mirror import Mirror, new_home
from support.two_copies import (
    DEBIAN,
    LATER_SECONDS,
    NEWEST,
    SEGMENT_SECONDS,
    an_hour_ago,
    count_packets,
    film,
    run,
    segment,
    verify,
)
from support.users import new_mirror

SECONDS = 60
# Sound has so many packets a second, and the picture so many.
SOUND, PICTURE = 44_100 / 1024, 15


class Films(NamedTuple):
    """A film, the same one without sound, and one of the same source that was encoded for a different reader."""

    whole: Path
    silent: Path
    other: Path


@pytest.fixture(scope="module")
def films() -> Iterator[Films]:
    with new_home() as home:
        whole, silent = film(home / "whole.mkv", SECONDS), home / "silent.mkv"
        run(DEBIAN, "-v", "error", "-i", str(whole), "-map", "0:v", "-c", "copy", str(silent))
        encoders = ("-preset", "ultrafast", "-threads", "1", "-crf", "27", "-b:a", "48k")
        yield Films(whole, silent, film(home / "other.mkv", SECONDS, 300, *encoders))


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A mirror of a camera, without any recordings."""
    with new_mirror() as made:
        made.run("adopt-volume")
        made.database.add("gate")
        yield made


def record(mirror: Mirror, primary: Path, ours: Path, ahead: int = 0) -> tuple[list[Path], list[Path]]:
    """Record a film on each side. The mirror begins later, and the primary's clock is `ahead`. Return the segments."""
    begun = an_hour_ago()
    theirs = segment(DEBIAN, primary, mirror.home / "recordings/gate", begun + ahead)
    return theirs, segment(NEWEST, ours, camera_directory(mirror, "gate"), begun, skip=LATER_SECONDS)


def lines(mirror: Mirror, code: int) -> list[str]:
    """Verify on the command line, and return what it printed for a person, below the table."""
    return mirror.run("verify", "--utc", code=code).stdout.splitlines()[2:]


def test_sound_of_the_primary_alone_is_one_line(mirror: Mirror, films: Films) -> None:
    """With its first and last file, and its times. The picture is identical."""
    primary, ours = record(mirror, films.whole, films.silent)
    line, *_ = lines(mirror, code=1)
    assert re.fullmatch(
        rf"{primary[0]} to {primary[-1].name}: 2,\d\d\d packets of sound only in the primary, "
        rf".* to .*: the mirror records none",
        line,
    )
    _, cameras = verify(mirror, code=1)
    assert cameras["gate"]["counts"]["identical"] == sum(map(count_packets, ours))
    assert cameras["gate"]["counts"]["only_primary"] == pytest.approx(SECONDS * SOUND, abs=SEGMENT_SECONDS * SOUND)


def test_sound_of_the_mirror_alone_is_one_line(mirror: Mirror, films: Films) -> None:
    """From the first segment on: the primary has footage of its time."""
    _, ours = record(mirror, films.silent, films.whole)
    line, *others = lines(mirror, code=1)
    assert re.fullmatch(
        rf"{ours[0]} to {ours[-1].name}: 2,\d\d\d packets of sound only in the mirror, "
        rf".* to .*: the primary records none",
        line,
    )
    assert not [each for each in others if "nothing of that time" in each]
    _, cameras = verify(mirror, code=1)
    counts = cameras["gate"]["counts"]
    assert counts["only_mirror"] + counts["identical"] == sum(map(count_packets, ours))
    assert counts["only_mirror"] == pytest.approx(counts["identical"] / PICTURE * SOUND, abs=SOUND)
    assert cameras["gate"]["nothing_there"] == cameras["gate"]["proven"] == 0


def test_sound_that_was_off_for_a_while_is_one_line(mirror: Mirror, films: Films) -> None:
    """Before and after it both sides are the same."""
    _, ours = record(mirror, films.whole, films.whole)
    for path in ours[4:8]:
        silent = path.with_name("silent.mp4")
        run(NEWEST, "-v", "error", "-i", str(path), "-map", "0:v", "-c", "copy", "-copyts", str(silent))
        silent.replace(path)
    (line,) = (each for each in lines(mirror, code=1) if "only in the primary" in each)
    assert "packets of sound only in the primary" in line
    _, cameras = verify(mirror, code=1)
    assert cameras["gate"]["proven"] >= len(ours) - 6
    assert cameras["gate"]["counts"]["only_primary"] == pytest.approx(4 * SEGMENT_SECONDS * SOUND, abs=SOUND)


@pytest.mark.parametrize("level", ["index", "packets"])
def test_a_camera_that_encodes_for_each_reader_is_not_comparable(mirror: Mirror, films: Films, level: str) -> None:
    """No packet is said to be lost or different, also where both recordings begin and end."""
    _, ours = record(mirror, films.whole, films.other)
    report, cameras = verify(mirror, "--level", level)
    assert (report["well"], report["proven"], report["problems"]) == (True, 0, [])
    assert cameras["gate"]["unrelated"] == cameras["gate"]["segments"] == len(ours)
    assert cameras["gate"]["counts"] == {"looked_at": len(ours), "not_comparable": len(ours)}
    (line,) = (each for each in lines(mirror, code=0) if "comparable" in each)
    assert line.startswith(f"gate: {len(ours)} segments are not comparable: the primary has footage of that time")


@pytest.mark.parametrize("shorter", ["primary", "mirror"])
@pytest.mark.parametrize("end", ["beginning", "end"])
def test_a_camera_that_encodes_for_each_reader_while_one_side_is_off(
    mirror: Mirror, films: Films, shorter: str, end: str
) -> None:
    """What one side has kept less long is no finding; what it recorded less long is, from a few seconds after it on."""
    sides = dict(zip(("primary", "mirror"), record(mirror, films.whole, films.other), strict=True))
    gone = sides[shorter][:6] if end == "beginning" else sides[shorter][-6:]
    for path in gone:
        path.unlink()
    begun = begun_of(gone[0])
    expected = 0 if end == "beginning" else 1
    _, cameras = verify(mirror, code=expected)
    found: list[Any] = cameras["gate"]["findings"]
    assert cameras["gate"]["unrelated"] > 0
    assert bool(found) == bool(expected)
    assert {each["kind"] for each in found} <= {f"only in the {'mirror' if shorter == 'primary' else 'primary'}"}
    assert all(each["begin"] > begun for each in found)
    # One line of picture and one of sound.
    assert sum("only in the" in each for each in lines(mirror, code=expected)) == 2 * expected


@pytest.mark.parametrize(("ahead", "shown"), [(45, "4[456]s ahead of"), (-45, "4[456]s behind")])
def test_clocks_that_differ_are_named(mirror: Mirror, films: Films, ahead: int, shown: str) -> None:
    """Nothing can be compared then, but a person knows why."""
    record(mirror, films.whole, films.whole, ahead)
    report, _ = verify(mirror, code=1)
    (problem,) = report["problems"]
    path = rf"{mirror.root}/gate/\d+_\d+\.mp4"
    assert re.match(rf"the primary's clock was {shown} the mirror's when {path} was recorded", problem)
    assert any(each == f"! {problem}" for each in lines(mirror, code=1))


def test_a_camera_that_encodes_for_each_reader_does_not_hide_that_clocks_differ(mirror: Mirror, films: Films) -> None:
    """One camera that can be compared tells it for all."""
    record(mirror, films.whole, films.other, 45)
    assert verify(mirror, code=1)[0]["problems"] == []
    mirror.database.add("hall")
    for side in ("recordings", "mirror"):
        (mirror.home / side / "gate").rename(mirror.home / side / "hall")
    record(mirror, films.whole, films.whole, 45)
    (problem,) = verify(mirror, code=1)[0]["problems"]
    assert "/gate/" in problem
