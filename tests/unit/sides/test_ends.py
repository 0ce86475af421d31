"""When a segment ends, by simulated recorders and by the cases that the rule must not fall for."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from heldar_mirror.sides.ends import (
    CUT_SECONDS,
    JOIN_SECONDS,
    SETTLED_SECONDS,
    Evidence,
    Written,
    end_of,
    may_be_open,
)

LENGTH = 60
SIZE = 1 << 20
STUB = 4096
# After so long without data ffmpeg ends, and closes its file.
TIMEOUT = 15.0
# What was written so long before a power failure may be lost.
UNWRITTEN = 35.0


def cut_into(begun: int, following: int, mtime: float, size: int = SIZE, length: float = LENGTH) -> bool:
    """Whether the evidence is enough, while the recording went on for ever."""
    return Evidence(length, STUB, math.inf).is_enough(begun, following, Written(size, mtime))


def test_a_segment_that_was_closed_as_the_next_one_began() -> None:
    """Its end need not be read."""
    assert cut_into(1000, 1060, 1060.0)
    assert cut_into(1000, 1060, 1060.99)
    assert cut_into(1000, 1064, 1064.5)
    assert cut_into(1000, 1056, 1056.5)


@pytest.mark.parametrize(
    ("following", "mtime", "size"),
    [
        (1060, 1061.0, SIZE),  # the next one had begun: a copy, or a clock that is ahead
        (1060, 9999.0, SIZE),  # a copy
        (1060, 1059.9, SIZE),  # a killed recorder, or a new session
        (1060, 0.0, SIZE),  # a file system without times
        (1060, 1060.5, STUB),  # nothing was recorded
        (1060, 1060.5, 0),  # a power failure took the content
        (1066, 1066.5, SIZE),  # a silence before the cut
        (1027, 1027.5, SIZE),  # a session that ended early
        (1600, 1600.5, SIZE),
    ],
)
def test_everything_else_is_read(following: int, mtime: float, size: int) -> None:
    """Where the evidence is not complete, the end is not taken for known."""
    assert not cut_into(1000, following, mtime, size)


def known(files: list[tuple[int, float]]) -> list[int]:
    """Which of some files, given by beginning and mtime, need not be read."""
    evidence = Evidence(LENGTH, STUB, 0)
    found = []
    for (begun, mtime), following in zip(
        reversed(files), [None, *(begun for begun, _ in reversed(files))], strict=False
    ):
        if evidence.is_enough(begun, following, Written(SIZE, mtime)):
            found.append(begun)
    return found[::-1]


def test_what_was_written_just_before_a_power_failure_is_read() -> None:
    """Its mtime may have reached the disk, and its end not."""
    minutes = [(begun, begun + 60.1) for begun in range(1000, 1600, 60)]
    later = [(begun, begun + 60.1) for begun in range(5000, 5600, 60)]
    expected = [begun for begun, _ in minutes][:-2]
    assert known(minutes) == expected
    assert known(minutes + later) == expected + [begun for begun, _ in later][:-2]


def ended(length: float, following: int | None = None, mtime: float = 1060.5, usual: float = LENGTH) -> float:
    return end_of(1000, following, length, Written(SIZE, mtime), usual)


def test_an_end_by_the_length() -> None:
    """It is where the packets end; a next segment that begins then or nearly then is joined."""
    assert ended(41.5) == 1041.5
    assert ended(59.2, 1060) == 1060
    assert ended(61.5, 1060) == 1060
    assert ended(57.0, 1060) == 1057
    assert ended(64.0, 1060, mtime=1064.0) == 1064, "the next one may be a stub"


def test_an_end_that_is_not_joined() -> None:
    """It is that of the packets, for who can tell a hole from what the cutting of names makes of it."""
    found = [end_of(1000, 1060, length, Written(SIZE, 1061), LENGTH, join_seconds=0) for length in (58.9, 60, 61.5)]
    assert found == [1058.9, 1060, 1061.5]


def test_a_missing_segment_is_seen() -> None:
    """Also where segments are shorter than the tolerance."""
    assert ended(2, 1004, usual=2) == 1002
    assert ended(2.5, 1003, usual=2) == 1003


def test_a_length_that_never_was() -> None:
    """Timestamps that leap do not cover time in which nothing was written."""
    assert ended(7200) == 1065
    assert ended(7200, mtime=1300) == 1302
    assert ended(240, mtime=1240, usual=300) == 1240
    assert ended(60, mtime=1030) == 1060, "the clock of a network drive may be wrong"
    assert ended(600, mtime=0) == 1600, "a time from before the beginning says nothing"


def test_a_file_that_was_written_just_now_may_be_open() -> None:
    """Also with a clock that was set back a little."""
    assert may_be_open(Written(SIZE, 1000), 1001)
    assert may_be_open(Written(SIZE, 1001), 1000)
    assert not may_be_open(Written(SIZE, 1000), 5000)


@dataclass
class Segment:
    """A segment of a simulated camera: its name, until when packets are in it, and its mtime."""

    begun: int
    end: float
    mtime: float
    timed_out: bool = False


def recorded_until(session: float, end: float, keyframes: float) -> list[Segment]:
    """Return the segments of a session. ffmpeg cuts at the first keyframe after each multiple of the length."""
    found: list[Segment] = []
    cut = session
    while True:
        usual = (int((cut - session) // LENGTH) + 1) * LENGTH
        after = session + -(-usual // keyframes) * keyframes
        if after >= end:
            return [*found, Segment(int(cut), end, end)]
        found.append(Segment(int(cut), after, after))
        cut = after


@st.composite
def recordings(draw: st.DrawFn) -> list[Segment]:
    """Sessions of ffmpeg with a camera, one after the other, each ended in some way."""
    at = draw(st.floats(1_000_000, 1_000_100))
    keyframes = draw(st.sampled_from([0.5, 1.0, 2.0, 4.0, 10.0]))
    found: list[Segment] = []
    for _ in range(draw(st.integers(1, 4))):
        end = at + draw(st.floats(1, 400))
        session = recorded_until(at, end, keyframes)
        last = session[-1]
        kind = draw(st.sampled_from(["closed", "timed out", "killed", "power failure"]))
        if kind == "timed out":
            last.mtime, last.timed_out = end + TIMEOUT, True
        elif kind == "killed":
            last.end = last.mtime = draw(st.floats(last.begun + 1, max(end, last.begun + 1)))
        elif kind == "power failure":
            on_disk = end - draw(st.floats(0, UNWRITTEN))
            for each in session:
                each.end = min(each.end, max(each.begun, on_disk))
        found += session
        # A new session takes at least this: a pause or a start of the recorder, a handshake and a keyframe; or a boot.
        at = max(last.mtime, end) + draw(st.floats(0.5, 100)) + (10 if kind == "power failure" else 0)
    return found


@settings(max_examples=200)
@given(recordings(), st.booleans())
def test_ends_of_simulated_recordings(segments: list[Segment], copied: bool) -> None:
    """An end is right to a second or two. Only a silence that ends a session can be taken for recorded."""
    assume(len({each.begun for each in segments}) == len(segments))
    evidence = Evidence(LENGTH, STUB, 0)
    following = None
    for each in reversed(segments):
        written = Written(SIZE, 2_000_000.0 if copied else each.mtime)
        if evidence.is_enough(each.begun, following, written):
            assert following is not None
            assert not copied
            found: float = following
        else:
            start = each.begun + 0.5  # the name has lost a part of a second
            found = end_of(each.begun, following, max(0, each.end - start), written, LENGTH)
        allowed = 1 + JOIN_SECONDS + (TIMEOUT if each.timed_out else 0)
        assert -(1 + JOIN_SECONDS) <= found - each.end <= allowed
        following = each.begun


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0, 2e6), st.floats(2, 3600), st.floats(0, 2e6))
def test_what_is_joined_is_near(begun: int, distance: int, mtime: float, usual: float, reached: float) -> None:
    """No gap that is longer than a segment, or in which nothing was written, is ever taken for recorded."""
    following = begun + distance
    if Evidence(usual, STUB, reached).is_enough(begun, following, Written(SIZE, mtime)):
        assert distance <= usual + CUT_SECONDS
        assert following - 1 <= mtime <= following + 1
        assert reached >= following + SETTLED_SECONDS
