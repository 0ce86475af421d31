"""Doing what a plan says: the newest footage first, each file proven, and followed until Heldar has indexed it.

What goes wrong with a file concerns that file. Only what would go wrong with all others too ends it. A file is there as
a whole or not at all at any moment, and what is there already is not written again. So a second run completes whatever
ended the first one.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.errors import ExistsError, MirrorError, RestoreError, UnreadableError, VolumeError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.following import FRESH_SECONDS, File, Follower, Key, Times, Wait
from heldar_mirror.restore.plan import LeftOut, NewFile
from heldar_mirror.restore.readback import DifferentError, read_back
from heldar_mirror.restore.result import End, Indexing, Outcome, Restored, Result
from heldar_mirror.restore.writing import Writer
from heldar_mirror.sides.side import Side

# It is called with what is being done, and which share of it is done, from 0 to 1.
Progress = Callable[[str, float], None]


@dataclass(eq=False)
class Applying:
    """One restore. `interrupted` ends it after the file that is being written, and each wait.

    It is waited for Heldar for as long as `wait` says. While the plan is written, at most WAITING files wait for Heldar
    if that runs, whatever `wait` says.
    """

    database: Path
    writer: Writer
    primary: Side
    mirror: Side
    progress: Progress
    wait: Wait
    interrupted: threading.Event
    times: Times = field(default_factory=Times)

    _follower: Follower = field(init=False)
    _result: Result = field(default_factory=Result, init=False)
    # The bytes of all files, and of those that were tried.
    _planned: int = field(default=0, init=False)
    _tried: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._follower = Follower(self.database, self.writer, self._tell, self.interrupted, self.times)

    def run(self, planned: Iterable[NewFile], left_out: Iterable[LeftOut]) -> Result:
        """Write the planned files of all cameras, prove them, and wait until Heldar has indexed them.

        The result has what the plan has `left_out` as well.
        """
        result, follower = self._result, self._follower
        result.left_out = list(left_out)
        files = sorted(planned, key=lambda new: (-new.begin, _key(new)))
        self._planned = sum(new.size for new in files)
        with self._noted():
            self._write(files)
        with self._noted():
            follower.follow(self.wait if result.end is End.DONE else Wait.NOT)
        if result.end is End.DONE and self.interrupted.is_set():
            result.end = End.INTERRUPTED
        result.files += [Restored(new, Outcome.NOT_REACHED) for new in files[len(result.files) :]]
        result.files = [each._replace(indexing=self._indexing(each.new)) for each in result.files]
        result.heldar, result.problem = follower.heldar, follower.problem
        result.start_within = follower.start_within()
        return result

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Take note of an error that concerns all files."""
        try:
            yield
        except (RestoreError, VolumeError) as error:
            if self._result.end is not End.LOST:
                self._result.end, self._result.reason = End.LOST, str(error)
                self._result.lost_code = error.exit_code

    def _write(self, files: Sequence[NewFile]) -> None:
        for new in files:
            self._follower.wait_for_room()
            if self.interrupted.is_set():
                self._result.end = End.INTERRUPTED
                break
            self._tell(f"{new.camera_id}/{segment_name(new.name)}")
            self._result.files.append(self._restore(new))
            self._tried += new.size

    def _restore(self, new: NewFile) -> Restored:
        """Write a file and prove it. Raises RestoreError and VolumeError if it can't be written, nor can others."""
        try:
            written = self.writer.write(new, fresh_until=self.times.now() + FRESH_SECONDS)
        except ExistsError as error:
            return self._recognized(new, error)
        except (RestoreError, VolumeError):
            raise
        except MirrorError as error:
            return Restored(new, Outcome.FAILED, str(error))
        self._follower.add(_key(new), File(written.size, written.modified))
        try:
            read_back(new, self.primary, self.mirror)
        except DifferentError as error:
            return Restored(new, Outcome.DIFFERENT, str(error))
        except MirrorError as error:  # if it concerns all files, it is met again
            return Restored(new, Outcome.UNPROVEN, str(error))
        return Restored(new, Outcome.RESTORED)

    def _recognized(self, new: NewFile, taken: ExistsError) -> Restored:
        """Find out whether what has the name of a new file is that file, by a run that was ended."""
        try:
            read_back(new, self.primary, self.mirror)
            size, modified, _ = self.primary.identity(*_key(new))
        except (DifferentError, UnreadableError):
            return Restored(new, Outcome.FAILED, str(taken))
        self._follower.add(_key(new), File(size, modified / 1e9))
        return Restored(new, Outcome.THERE)

    def _indexing(self, new: NewFile) -> Indexing | None:
        follower = self._follower
        kinds = (
            (Indexing.INDEXED, follower.indexed),
            (Indexing.WAITING, follower.waiting),
            (Indexing.SLOW, follower.slow),
            (Indexing.DELETED, follower.gone),
        )
        return next((kind for kind, keys in kinds if _key(new) in keys), None)

    def _tell(self, what: str) -> None:
        """Tell what is being done: writing first, and then waiting for Heldar."""
        done, of = self._tried, self._planned
        if done == of:
            done, of = len(self._follower.indexed), len(self._result.files)
        self.progress(what, done / of if of else 1.0)


def _key(new: NewFile) -> Key:
    return Key(new.camera_id, new.name)
