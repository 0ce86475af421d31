"""What a restore has done: file by file, and in one sentence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from heldar_mirror.errors import INTERRUPTED
from heldar_mirror.footage.names import segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.restore.following import SLOW, Heldar
from heldar_mirror.restore.plan import LeftOut, NewFile
from heldar_mirror.units import shown_span

# The version of the JSON. It rises if a field changes its meaning or goes; new fields may come without that.
VERSION = 1

# The sentence names so many reasons for which footage was left out.
REASONS = 2


class Outcome(str, Enum):
    """What became of a new file."""

    RESTORED = "restored"
    THERE = "already there"
    UNPROVEN = "written, and not proven"
    DIFFERENT = "written, and different"
    FAILED = "not restored"
    NOT_REACHED = "not reached"


class Indexing(str, Enum):
    """What Heldar has made of a file that is there."""

    INDEXED = "indexed"
    WAITING = "not indexed yet"
    SLOW = "not indexed for long"
    DELETED = "deleted"


class Restored(NamedTuple):
    """A new file, what became of it, and why that is not what was wanted, or no text. `indexing` is None if it is not
    there."""

    new: NewFile
    outcome: Outcome
    reason: str = ""
    indexing: Indexing | None = None

    def to_json(self) -> dict[str, Any]:
        """Return `camera_id`, `name`, `begin`, `end`, `size`, `outcome`, `reason`, and `indexing` or null."""
        new = self.new
        return {
            "camera_id": new.camera_id,
            "name": segment_name(new.name),
            "begin": new.begin,
            "end": new.end,
            "size": new.size,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "indexing": self.indexing.value if self.indexing else None,
        }


class End(str, Enum):
    """Why it ended."""

    DONE = "all was tried"
    INTERRUPTED = "it was interrupted"
    LOST = "nothing more can be written or read"


@dataclass
class Result:
    """What a restore has done.

    `heldar` is what Heldar did at the end. `problem` says why that, or what it has indexed, is not known, or why a file
    can't be kept fresh. What is not indexed yet has to be within `start_within` seconds, or Heldar may delete it.
    `reason` and `lost_code` say why nothing more could be done, and the exit code for that.
    """

    files: list[Restored] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    end: End = End.DONE
    reason: str = ""
    lost_code: int = 0
    heldar: Heldar = Heldar.UNKNOWN
    problem: str = ""
    start_within: float | None = None

    @property
    def exit_code(self) -> int:
        """Return 0 if all that was planned is there, proven, and indexed or waits for a Heldar that is stopped.

        130 means that it was interrupted, 1 that something of a file went wrong, and other codes are those of errors.
        """
        if self.end is End.INTERRUPTED:
            return INTERRUPTED
        ill = any(
            each.outcome not in (Outcome.RESTORED, Outcome.THERE) or each.indexing in (Indexing.SLOW, Indexing.DELETED)
            for each in self.files
        )
        return self.lost_code or int(ill or bool(self.files and self.problem))

    def to_json(self) -> dict[str, Any]:
        """Return `version`, `well`, `sentence`, `end`, `reason`, `heldar`, `problem`, `start_within` (or null), `files`
        and `left_out`."""
        return {
            "version": VERSION,
            "well": self.exit_code == 0,
            "sentence": self.sentence(),
            "end": self.end.value,
            "reason": self.reason,
            "heldar": self.heldar.value,
            "problem": self.problem,
            "start_within": self.start_within,
            "files": [each.to_json() for each in self.files],
            "left_out": [each._asdict() for each in self.left_out],
        }

    def sentence(self) -> str:
        """Return in one sentence what is back, what was left out, and why."""
        parts = [*self._back(), *self._missing(), *_left_out(self.left_out)]
        text = "; ".join(parts) or "nothing had to be restored"
        return f"{text[0].upper()}{text[1:]}."

    def _back(self) -> Iterator[str]:
        """Yield what is back, by how far Heldar has got with it."""
        present = [each for each in self.files if each.outcome in (Outcome.RESTORED, Outcome.THERE, Outcome.UNPROVEN)]
        there: dict[Indexing | None, list[NewFile]] = defaultdict(list)
        for each in present:
            there[each.indexing].append(each.new)
        if files := there[Indexing.INDEXED]:
            yield f"{_shown(files)} can be played in Heldar again"
        if files := there[Indexing.WAITING]:
            yield f"{_shown(files)} lie in Heldar's recordings again, and {self._waiting()}"
        if files := there[Indexing.SLOW]:
            why = self._waiting() if self.problem else f"Heldar does not index them: {SLOW}"
            yield f"{_shown(files)} lie in Heldar's recordings again, but {why}"
        if files := there[Indexing.DELETED]:
            yield f"{_shown(files)} were restored, and deleted again by Heldar or somebody"
        if unproven := [each for each in present if each.outcome is Outcome.UNPROVEN]:
            yield f"{_shown(each.new for each in unproven)} could not be proven: {_reason(unproven)}"

    def _waiting(self) -> str:
        within = f"within {shown_span(self.start_within or 0)}"
        if self.heldar is Heldar.STOPPED:
            return f"Heldar, which is stopped, finds them if it is started {within}"
        if self.heldar is Heldar.RUNNING:
            return "Heldar finds them in some minutes"
        return f"whether Heldar has found them can't be seen, which it has to {within}: {_clause(self.problem)}"

    def _missing(self) -> Iterator[str]:
        """Yield what is not back, though it should be."""
        of = {outcome: [each for each in self.files if each.outcome is outcome] for outcome in Outcome}
        for outcome, what in ((Outcome.DIFFERENT, "are damaged"), (Outcome.FAILED, "could not be restored")):
            if files := of[outcome]:
                yield f"{_shown(each.new for each in files)} {what}: {_reason(files)}"
        if files := of[Outcome.NOT_REACHED]:
            why = f": {_clause(self.reason)}" if self.reason else ""
            yield f"{_shown(each.new for each in files)} are left for the next run, since {self.end.value}{why}"


def _left_out(footage: Iterable[LeftOut]) -> Iterator[str]:
    """Yield what was left out by the plan, the most first."""
    by_reason: dict[str, list[LeftOut]] = defaultdict(list)
    for each in footage:
        by_reason[each.reason].append(each)
    most = sorted(by_reason.items(), key=lambda item: -_seconds(item[1]))
    for reason, own in most[:REASONS]:
        yield f"{_shown(own)} were left out because {_clause(reason)}"
    if others := [each for _, own in most[REASONS:] for each in own]:
        yield f"{_shown(others)} were left out for other reasons"


def _shown(footage: Iterable[NewFile | LeftOut]) -> str:
    """Return how much footage it is, and of which cameras."""
    footage = list(footage)
    names = list(dict.fromkeys(each.camera_id for each in footage))
    return f"{shown_span(_seconds(footage))} of {names[0] if len(names) == 1 else f'{len(names)} cameras'}"


def _seconds(footage: Sequence[NewFile | LeftOut]) -> float:
    """Return how many seconds it is, each of a camera once."""
    of_camera = defaultdict(list)
    for each in footage:
        of_camera[each.camera_id].append((each.begin, each.end))
    return sum(end - begin for spans in of_camera.values() for begin, end in Spans(spans).spans)


def _reason(files: Sequence[Restored]) -> str:
    """Return the reason of the first of files, and how many more there are."""
    more = len({each.reason for each in files}) - 1
    return _clause(files[0].reason) + (f" (and {more} more reason{'s' * (more > 1)})" if more else "")


def _clause(reason: str) -> str:
    """Return a reason as a part of a sentence."""
    return " ".join(reason.split()).rstrip(".")
