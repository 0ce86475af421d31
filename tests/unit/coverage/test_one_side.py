"""What follows from what one side has of a camera."""

from array import array

import pytest

from heldar_mirror.coverage.one_side import Found, Question, known_of, notes_of, problems_of, read_cameras, with_advice
from heldar_mirror.coverage.timeline import UNREADABLE
from heldar_mirror.errors import HungError, UnreadableError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.sides.ends import OPEN_SECONDS
from heldar_mirror.sides.recorded import Recorded
from heldar_mirror.sides.side import Side


def recorded(*times: tuple[int, float]) -> Recorded:
    return Recorded(array("q", [begun for begun, _ in times]), array("d", [end for _, end in times]))


class FakeSide(Side):
    """A side that gives what a test wants, by camera, and counts the questions."""

    def __init__(self, answers: dict[str, Recorded | Exception]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def recorded(self, camera_id: str, *_: float) -> Recorded:
        self.asked.append(camera_id)
        answer = self.answers[camera_id]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_camera_that_cannot_be_read_costs_itself_alone() -> None:
    """The next one is asked for."""
    side = FakeSide({"gate": UnreadableError("its directory is odd"), "yard": recorded((0, 60))})
    gate, yard = read_cameras(side, dict.fromkeys(("gate", "yard"), Question(0, 100, 60)))
    assert (gate.recorded, gate.problem, gate.side_problem) == (None, "its directory is odd", None)
    assert (yard.recorded, yard.problem) == (side.answers["yard"], None)


def test_a_side_that_hangs_is_not_asked_again() -> None:
    """Each question would take long."""
    side = FakeSide({"gate": HungError("it hangs"), "yard": recorded((0, 60))})
    found = list(read_cameras(side, dict.fromkeys(("gate", "yard"), Question(0, 100, 60))))
    assert [(each.recorded, each.problem, each.side_problem) for each in found] == [(None, None, "it hangs")] * 2
    assert side.asked == ["gate"]


@pytest.mark.parametrize(
    ("after", "spans"),
    [
        (1, [(0, 121)]),
        (OPEN_SECONDS, [(0, 120 + OPEN_SECONDS)]),
        (OPEN_SECONDS + 1, [(0, 120)]),
        (-1, [(0, 120)]),
    ],
)
def test_what_is_not_written_yet(after: float, spans: list[tuple[float, float]]) -> None:
    """The newest footage reaches until now, unless its end is longer ago than ffmpeg waits with writing."""
    found = Found(recorded((0, 60), (60, 120)), read_at=120 + after)
    assert known_of(found, 60).footage.spans == spans


def test_nothing_is_written_yet_of_the_newest_segment() -> None:
    """It reaches from its beginning until now, and covers no hole before it."""
    found = Found(recorded((0, 60), (100, 100)), read_at=110)
    assert known_of(found, 60).footage.spans == [(0, 60), (100, 110)]


def test_nothing_is_known_of_what_was_not_read() -> None:
    """Nor is anything taken for recorded where there is no footage."""
    assert known_of(Found(), 60) == UNREADABLE
    assert known_of(Found(recorded()), 60).footage.spans == []


def test_problems_and_notes() -> None:
    """Files that can't be read are a problem; what is wrong with those that can be is a note."""
    odd = recorded((0, 60), (60, 120), (120, 120))
    odd.unread = {60: "Permission denied", 120: "Input/output error"}
    odd.damaged = {0: "it ends in the middle of a box, at byte 7"}
    found = Found(odd)
    (problem,) = problems_of(found, "mirror")
    assert problem.startswith(
        f"cannot read 2 of the mirror's files, such as {segment_name(60)}: Permission denied. Put "
    )
    assert list(notes_of(found, "mirror")) == [
        f"damaged: 1 of the mirror's files, such as {segment_name(0)}: it ends in the middle of a box, at byte 7"
    ]
    assert list(problems_of(Found(problem="gone"), "mirror")) == ["gone"]
    assert list(problems_of(Found(side_problem="hung"), "mirror")) == list(notes_of(Found(), "mirror")) == []


def test_advice() -> None:
    """Only where a right is missing."""
    assert with_advice("cannot read it: Input/output error") == "cannot read it: Input/output error"
    assert " into Heldar's group, or run the command as " in with_advice("cannot read it: Permission denied")
