"""The child process that writes into the primary's directory, one file after another, until its standard input ends.

It is started as `python -I -m heldar_mirror.restore.writer MIRROR_ROOT VOLUME RECORDINGS_DIR [USER]`. If it is root, it
reads the mirror as USER, and writes as the owner of the primary's files. `sides/protocol.py` has the form of the
messages. If the process that has started it is gone, what is under way is given up.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from heldar_mirror.errors import GoneError, MirrorError, UnreadableError, VolumeError
from heldar_mirror.footage.names import segment_begun, segment_name
from heldar_mirror.restore.copying import PIECE, copy_bytes
from heldar_mirror.restore.cutting import write_file
from heldar_mirror.restore.joining import Part, plan_file
from heldar_mirror.restore.plan import Piece
from heldar_mirror.restore.source import UncuttableError, read_source
from heldar_mirror.restore.target import Target
from heldar_mirror.sides.answers import identity
from heldar_mirror.sides.end_reader import opened_segment
from heldar_mirror.sides.limits import TooCostlyError, limited_cpu
from heldar_mirror.sides.protocol import ALIVE, encode
from heldar_mirror.sides.reader import Alive, Root
from heldar_mirror.sides.recorded import Identity
from heldar_mirror.state.identity import acting_as
from heldar_mirror.volume.listing import camera_directory
from heldar_mirror.volume.trial import NO_ROOM
from heldar_mirror.writing import write_all


class Sides(NamedTuple):
    """The mirror root, the id of its volume, the primary's directory, and as whom root reads the mirror: a user's name,
    or no text."""

    mirror: Path
    volume: str
    primary: Path
    user: str


class Segment(NamedTuple):
    """An open segment of the mirror, what is wanted of it, and what its file was when it was opened."""

    path: Path
    fd: int
    piece: Piece
    identity: Identity


class Answers:
    """Answers the questions of a `Writer`.

    `progress` is called again and again, and `confirm` before a file gets its name. Either may end the process. Each
    method raises MirrorError, with what a person needs to know.
    """

    def __init__(self, sides: Sides, progress: Callable[[], None], confirm: Callable[[], None]) -> None:
        self._mirror = sides.mirror
        self._root = Root(sides.mirror, sides.volume)
        self._primary = sides.primary
        self._user = sides.user if os.geteuid() == 0 else ""
        self._progress = progress
        self._confirm = confirm
        self._target: Target | None = None

    def take(self, *, into_empty: bool) -> dict[str, Any]:
        """Take the primary's directory for this restore. It comes first."""
        self._target = Target(self._primary, self._progress, into_empty=into_empty)
        return {}

    def write(self, camera_id: str, name: int, pieces: list[list[Any]], fresh_until: float) -> dict[str, Any]:
        """Write a new file of the primary's, and return its size and the time of its last write."""
        assert self._target  # noqa: S101 - it was taken
        wanted = [_piece(*fields) for fields in pieces]
        with self._segments(camera_id, wanted) as segments, self._target.draft(camera_id, name) as draft:
            size = self._fill(draft.fd, segments)
            for segment in segments:
                _check_same(segment, segment.identity, "while it was copied")
            self._confirm()
            return {"size": size, "modified": draft.finish(fresh_until)}

    def touch(self, camera_id: str, name: int, modified: float) -> dict[str, Any]:
        """Set the time of the last write of a file of the primary's."""
        assert self._target  # noqa: S101 - it was taken
        self._target.touch(camera_id, name, modified)
        return {}

    @contextmanager
    def _segments(self, camera_id: str, wanted: Sequence[Piece]) -> Iterator[list[Segment]]:
        """Open segments of the mirror."""
        with ExitStack() as stack:
            path = self._mirror / camera_id
            segments: list[Segment] = []
            with acting_as(self._user) if self._user else nullcontext():
                root = self._open_root()
                try:
                    directory = stack.enter_context(camera_directory(root, camera_id))
                    for piece in wanted:
                        path = self._mirror / camera_id / segment_name(piece.begun)
                        fd = stack.enter_context(opened_segment(directory, path.name))
                        segments.append(Segment(path, fd, piece, Identity(*identity(fd))))
                except FileNotFoundError:
                    raise GoneError(f"the mirror's recording {path} is not there any more") from None
                except OSError as error:
                    raise _unreadable(path, error) from None
            for segment in segments:
                if segment.piece.identity:
                    _check_same(segment, segment.piece.identity, "since it was planned")
            yield segments

    def _open_root(self) -> int:
        try:
            return self._root.open()
        except OSError as error:
            raise VolumeError(f"cannot use mirror root {self._mirror}: {error.strerror}") from None

    def _fill(self, out: int, segments: Sequence[Segment]) -> int:
        """Write the new file to an open, empty one, and return its size. Raises OSError if `out` is the reason."""
        flushing = Flushing(out, self._progress)
        try:
            if len(segments) == 1 and not segments[0].piece.chosen:
                (segment,) = segments
                copy_bytes(segment.fd, 0, segment.identity.size, out, flushing)
                return segment.identity.size
            return write_file(plan_file(list(map(_part, segments))), out, flushing)
        except OSError as error:
            if error.errno not in NO_ROOM:
                for segment in segments:
                    _check_readable(segment, self._progress)
            raise


class Flushing:
    """Brings what is written of a file to the disk as it goes.

    So no call takes so long that the disk would look hung, and Heldar's own writes wait behind little.
    """

    def __init__(self, out: int, progress: Callable[[], None]) -> None:
        self._out = out
        self._progress = progress
        self._written = 0

    def __call__(self, count: int) -> None:
        """Take note that so many bytes more were written."""
        self._written += count
        if self._written >= PIECE:
            self._written = 0
            os.fdatasync(self._out)
        self._progress()


def _piece(begun: int, chosen: list[int] | None, at: float, known: list[int] | None) -> Piece:
    """Return a piece of the mirror's footage, as it was put into a question."""
    return Piece(begun, (chosen[0], chosen[1]) if chosen else None, at, Identity(*known) if known else None)


def _part(segment: Segment) -> Part:
    """Return the fragments that are wanted of a segment. Raises UncuttableError, UnreadableError and OSError."""
    path = str(segment.path)
    try:
        with limited_cpu():
            source = read_source(segment.fd, path)
    except (TooCostlyError, MemoryError) as error:
        raise UncuttableError(path, str(error) or "it takes too much memory") from None
    count = len(source.layout.fragments)
    chosen = range(*segment.piece.chosen or (0, count))
    if chosen.stop > count:
        raise _changed(segment, "since it was planned")
    return Part(source, chosen, segment.piece.at)


def _check_same(segment: Segment, known: Identity, when: str) -> None:
    """Raise UnreadableError if a segment's file is not what it was."""
    if Identity(*identity(segment.fd)) != known:
        raise _changed(segment, when)


def _changed(segment: Segment, when: str) -> UnreadableError:
    return UnreadableError(f"the mirror's {segment.path} was changed {when}: restore again")


def _check_readable(segment: Segment, progress: Callable[[], None]) -> None:
    """Raise UnreadableError if a segment can't be read as far as it went when it was opened."""
    at = 0
    try:
        while at < segment.identity.size:
            count = len(os.pread(segment.fd, min(PIECE, segment.identity.size - at), at))
            if not count:
                raise OSError(errno.ENODATA, "it has become shorter")
            at += count
            progress()
    except OSError as error:
        raise _unreadable(segment.path, error) from None


def _unreadable(path: Path, error: OSError) -> UnreadableError:
    return UnreadableError(f"cannot read the mirror's {path}: {error.strerror or error}")


def answer(answers: Answers, question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a question, or the error that keeps us from answering."""
    try:
        made: dict[str, Any] = getattr(answers, question.pop("about"))(**question)
    except MirrorError as error:
        return {"error": type(error).__name__, "lines": list(map(str, error.args))}
    return made


class Asker:
    """The process that asks. If it is gone nobody wants what is under way, and this process ends."""

    def __init__(self) -> None:
        self._alive = Alive()

    def progress(self) -> None:
        """Say now and then that we are at work."""
        with _wanted():
            self._alive()

    def confirm(self) -> None:
        """Find out whether it is still there."""
        with _wanted():
            write_all(1, ALIVE)


@contextmanager
def _wanted() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        sys.exit()


def main(mirror: str, volume: str, primary: str, user: str = "") -> None:
    """Answer questions until standard input ends."""
    segment_begun(segment_name(0))  # it imports a module, which users that we act as need not be able to read
    asker = Asker()
    answers = Answers(Sides(Path(mirror), volume, Path(primary), user), asker.progress, asker.confirm)
    for line in sys.stdin.buffer:
        write_all(1, encode(answer(answers, json.loads(line))))


if __name__ == "__main__":
    with suppress(BrokenPipeError, SystemExit):
        main(*sys.argv[1:])
    os._exit(0)  # a volume that hangs can't be closed
