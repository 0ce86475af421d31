"""Where Heldar's index and the primary's disk differ, each segment counts once, and what is still at work does not."""

from array import array
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.coverage.findings import INDEXING_SECONDS, Compared, directory_of, findings
from heldar_mirror.coverage.report import Finding, FindingKind
from heldar_mirror.footage.names import segment_name
from heldar_mirror.heldar.recordings import IndexedSegment
from heldar_mirror.sides.recorded import Recorded

DIRECTORY = "/data/recordings/gate"
COMPARED = Compared((600, 6000), 10_000, DIRECTORY)


def path(begun: int) -> str:
    return f"{DIRECTORY}/{segment_name(begun)}"


def row(begun: int, seconds: float = 60.0) -> IndexedSegment:
    return IndexedSegment(path(begun), begun, begun + seconds)


def disk(*begun: int, seconds: float = 60.0, **more: object) -> Recorded:
    made = Recorded(array("q", begun), array("d", (each + seconds for each in begun)))
    vars(made).update(more)
    return made


def found(rows: Iterable[IndexedSegment], on_disk: Recorded, compared: Compared = COMPARED) -> list[Finding]:
    rows = list(rows)
    return findings(compared, on_disk, rows, lambda: rows)


def test_an_index_that_says_what_is_on_the_disk_has_no_findings() -> None:
    """Then it is not read a second time."""

    def refuse() -> list[IndexedSegment]:
        pytest.fail("the rows are read again")

    times = range(0, 9000, 60)
    assert not findings(COMPARED, disk(*times, seconds=60.5), [row(begun, 59.9) for begun in times], refuse)


def test_what_is_on_one_side_alone_is_found() -> None:
    rows = [row(begun) for begun in (600, 660, 1200, 1260, 1320)]
    assert found(rows, disk(600, 660, 2400)) == [
        Finding(FindingKind.NOT_ON_DISK, ((1200, 1380),), 3, path(1200), path(1320)),
        Finding(FindingKind.NOT_INDEXED, ((2400, 2460),), 1, path(2400), path(2400)),
    ]


def test_an_empty_disk_with_rows_is_a_loss() -> None:
    assert found([row(600), row(3000)], disk(missing=True)) == [
        Finding(FindingKind.NOT_ON_DISK, ((600, 660), (3000, 3060)), 2, path(600), path(3000))
    ]


def test_a_row_that_says_a_wrong_length_is_found() -> None:
    """Heldar cuts a row short where the next one begins, whatever the file holds beyond that."""
    rows = [row(600, 10), row(660, 30), row(690)]
    assert found(rows, disk(600, 660, 690)) == [
        Finding(FindingKind.LENGTH_DIFFERS, ((600, 660),), 1, path(600), path(600))
    ]


@pytest.mark.parametrize("end", [640, 645, 700])
def test_overlapping_segments_may_be_cut_or_whole(end: int) -> None:
    """After the clock was set back, a row is cut short only by what Heldar has indexed later."""
    assert not found(
        [row(600, end - 600), row(640)], disk(600, 640, seconds=100), Compared((600, 640), 10_000, DIRECTORY)
    )


@pytest.mark.parametrize("end", [637, 703])
def test_overlapping_segments_have_a_wrong_length_beyond_that(end: int) -> None:
    (finding,) = found([row(600, end - 600), row(640, 100)], disk(600, 640, seconds=100))
    assert finding.kind is FindingKind.LENGTH_DIFFERS
    assert finding.first == path(600)


@pytest.mark.parametrize("odd", ["/old/recordings/gate/19700101_001000.mp4", f"{DIRECTORY}/clip.mp4", "x.mp4", ""])
def test_a_row_with_a_path_elsewhere_is_told_apart(odd: str) -> None:
    """Whether that file is there was not looked at."""
    assert found([IndexedSegment(odd, 600, 660)], disk()) == [
        Finding(FindingKind.ELSEWHERE, ((600, 660),), 1, odd, odd)
    ]


def test_what_heldar_may_be_indexing_is_no_finding() -> None:
    """Nor is a file too short to be indexed, one that can't be read, or what begins outside of the span."""
    young = Compared((600, 6000), 5000, DIRECTORY)
    begun = 5000 - int(INDEXING_SECONDS)
    assert not found([row(begun)], disk(begun - 30), young)
    assert not found([row(begun, 10)], disk(begun), young)
    assert not found([], disk(1200, seconds=0.05))
    assert not found([row(1200, 10)], disk(1200, unread={1200: "Permission denied"}))
    assert not found([], disk(1200, unread={1200: "Permission denied"}))
    assert not found([row(300), row(6000)], disk(540, 7000))


def test_what_changes_while_both_are_read_is_no_finding() -> None:
    """Heldar indexes a file after its rows were read, and deletes one after its row was read."""
    assert not findings(COMPARED, disk(660), [row(600)], lambda: [row(660)])
    assert not findings(COMPARED, disk(660), [row(600)], lambda: None), "the second reading failed"
    (finding,) = findings(COMPARED, disk(), [row(600), row(660)], lambda: [row(660), row(720)])
    assert (finding.count, finding.first) == (1, path(660))


def test_the_directory_is_that_of_the_newest_row() -> None:
    """As Heldar calls it, which may be in a container."""
    assert directory_of("gate", path(600)) == DIRECTORY
    assert directory_of("gate", "data/recordings/gate/x.mp4") == "data/recordings/gate"
    assert directory_of("yard", path(600)) is None
    assert directory_of("gate", None) is None
    assert directory_of("gate", "x.mp4") is None


@given(st.sets(st.integers(0, 100)), st.sets(st.integers(0, 100)))
def test_each_segment_is_counted_once(indexed: set[int], on_disk: set[int]) -> None:
    """A segment is on both sides or has one finding, and the findings' times are those of their segments."""
    times = [60 * number for number in sorted(on_disk)]
    counts = {each.kind: each for each in found([row(60 * number) for number in sorted(indexed)], disk(*times))}
    inside = range(10, 100)
    for kind, numbers in (
        (FindingKind.NOT_ON_DISK, indexed - on_disk),
        (FindingKind.NOT_INDEXED, on_disk - indexed),
    ):
        expected = sorted(numbers & set(inside))
        if not expected:
            assert kind not in counts
            continue
        assert counts[kind].count == len(expected)
        assert sum(end - begin for begin, end in counts[kind].spans) == 60 * len(expected)
        assert (counts[kind].first, counts[kind].last) == (path(60 * expected[0]), path(60 * expected[-1]))
    assert counts.keys() <= {FindingKind.NOT_ON_DISK, FindingKind.NOT_INDEXED}
