"""Writing new files into the primary's directory, by a child process, so that a volume that hangs does not hang us."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from heldar_mirror.children import AT_LOW_PRIORITY, PYTHON
from heldar_mirror.errors import (
    DirectoryError,
    ExistsError,
    GoneError,
    HungError,
    MirrorError,
    NoRoomError,
    RestoreError,
    SettingsError,
    UnreadableError,
    VolumeError,
)
from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.plan import NewFile
from heldar_mirror.restore.source import UncuttableError
from heldar_mirror.settings import Settings
from heldar_mirror.sides.child import Child
from heldar_mirror.sides.protocol import EndedError
from heldar_mirror.sides.side import IDLE_ANSWER_SECONDS
from heldar_mirror.state.identity import acting_as, owner_ids
from heldar_mirror.state.volumes import remembered_volume

WRITER = (*PYTHON, "-m", "heldar_mirror.restore.writer")

# So long a child may take to give up a file that is under way, when we end or are interrupted.
GRACE_SECONDS = 5.0

# What a child's answer may say that went wrong.
ERRORS: dict[str, type[MirrorError]] = {
    kind.__name__: kind
    for kind in (
        *(RestoreError, NoRoomError, DirectoryError, ExistsError, UncuttableError),
        *(VolumeError, UnreadableError, GoneError, SettingsError),
    )
}


class Written(NamedTuple):
    """A new file of the primary's: its path, its bytes, and the time of its last write, in Unix seconds."""

    path: Path
    size: int
    modified: float


class Writer:
    """Writes into the primary's directory: a context manager, which keeps one child process.

    If root starts it, the child stays root, also if we become a different user later. So it is entered before that.
    With `into_empty` the primary's directory need not hold a camera, as that of a new disk. Entering it and each method
    raise HungError if a volume does not answer, VolumeError if the mirror root is not the right one, and RestoreError
    if the primary can't be written to; that is NoRoomError if its disk is full. These concern all files.
    """

    def __init__(self, settings: Settings, *, into_empty: bool = False, patience: float = IDLE_ANSWER_SECONDS) -> None:
        assert settings.mirror_root is not None  # noqa: S101 - the command has checked it
        self._settings = settings
        self._mirror = settings.mirror_root
        self._primary = settings.recordings_dir
        self._into_empty = into_empty
        self._patience = patience
        self._child: Child | None = None

    def __enter__(self) -> "Writer":
        volume = self._volume()
        user = self._settings.user or ""
        command = [*AT_LOW_PRIORITY, *WRITER, str(self._mirror), volume, str(self._primary), user]
        try:
            self._child = Child(command, self._patience)
        except OSError as error:
            raise self._failed(f"it can't be started: {error}") from None
        try:
            self._ask(about="take", into_empty=self._into_empty)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def write(self, new: NewFile, *, fresh_until: float) -> Written:
        """Write a new file. It appears under its name when it is whole and on the disk.

        The time of its last write becomes `fresh_until` (Unix seconds), or the present if it is the last file of its
        directory. Errors of this file alone: ExistsError if its name is taken, UnreadableError if a segment of the
        mirror can't be read or was changed, which is GoneError if it is not there any more, and UncuttableError. Of
        this camera: DirectoryError.
        """
        question = {"camera_id": new.camera_id, "name": new.name, "pieces": new.pieces, "fresh_until": fresh_until}
        fields = self._ask(about="write", **question)
        return Written(self._primary / new.camera_id / segment_name(new.name), fields["size"], fields["modified"])

    def touch(self, camera_id: str, name: int, modified: float) -> None:
        """Set the time of the last write of a file of the primary's (Unix seconds).

        Raises GoneError if it is not there, and DirectoryError.
        """
        self._ask(about="touch", camera_id=camera_id, name=name, modified=modified)

    def _volume(self) -> str:
        """Return the id of the mirror root's volume. Raises VolumeError if the root was never used, and StateError."""
        user = None if self._settings.joined or not owner_ids(self._settings) else self._settings.user
        with acting_as(user) if user else nullcontext():
            volume = remembered_volume(self._settings)
        if volume is None:
            raise VolumeError(f"mirror root {self._mirror} was never recorded to by this instance: nothing to restore")
        return volume

    def _ask(self, **question: Any) -> dict[str, Any]:
        """Return the answer to a question."""
        if self._child is None:
            raise self._failed("it was ended, since it failed before")
        try:
            fields = self._child.ask(question).fields
        except TimeoutError:
            self._end(grace=0)
            raise HungError(
                f"the mirror's volume at {self._mirror} or the primary's at {self._primary} does not answer within "
                f"{self._patience:g} s: is it hung?"
            ) from None
        except (EndedError, BrokenPipeError) as error:
            self._end()
            raise self._failed(str(error)) from None
        except BaseException:
            self._end()  # such as a Ctrl-C
            raise
        if "error" in fields:
            kind = ERRORS[fields["error"]]
            raise kind.__new__(kind, *fields["lines"])
        return fields

    def _end(self, grace: float = GRACE_SECONDS) -> None:
        if self._child:
            child, self._child = self._child, None
            child.end(grace)

    def _failed(self, reason: str) -> RestoreError:
        return RestoreError(f"the process that writes into the primary's {self._primary} failed: {reason}")
