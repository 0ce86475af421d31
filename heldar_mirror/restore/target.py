"""The primary's directory, as a restore writes into it: no file there is replaced, or is ever half a segment.

Root acts as the owner of what lies there already. So a new file belongs to whom the others do, and no link leads root
to where only root may write.
"""

import errno
import os
import stat
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from heldar_mirror.errors import DirectoryError, ExistsError, GoneError, MirrorError, NoRoomError, RestoreError
from heldar_mirror.footage.names import CAMERA_ID, segment_name
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.restore.final_name import give_name
from heldar_mirror.sides.names import list_segments
from heldar_mirror.state.identity import acting_as_owner, user_name
from heldar_mirror.state.locks import try_lock
from heldar_mirror.volume.listing import camera_directories, camera_directory
from heldar_mirror.volume.trial import NO_ROOM
from heldar_mirror.walk import open_directory

# A file is called so until it is whole. Heldar looks at `*.mp4` alone, and what it fetches itself is `*.mp4.part`.
TEMPORARY = ".heldar-mirror.restoring"

# Of these errors no directory of the same disk is free.
OF_THE_DISK = {errno.EROFS, errno.EIO}

# For the first file and the first camera of a new disk, less what the umask takes away.
FILE_MODE, DIRECTORY_MODE = 0o644, 0o755


class Camera(NamedTuple):
    """A camera's directory of the primary, open, with the beginnings of its segments.

    Its files are to be like `model`, a segment of this or a different camera. That is None if there is none.
    """

    path: Path
    directory: int
    begun: "array[int]"
    model: os.stat_result | None


class Draft:
    """A new file of a camera, which has no name yet. `fd` is its descriptor."""

    def __init__(self, fd: int, camera: Camera, begun: int) -> None:
        self.fd = fd
        self._camera = camera
        self._begun = begun

    def finish(self, fresh_until: float) -> float:
        """Bring the file to the disk, and give it its name. Return the time of its last write, in Unix seconds.

        That is `fresh_until`, so that Heldar does not take it for a leftover before it has indexed it. But the last
        file of a directory counts as open until some time after its last write, so it gets the present time.
        """
        earlier = self._camera.begun and self._begun < self._camera.begun[-1]
        modified = fresh_until if earlier else time.time()
        os.utime(self.fd, (modified, modified))
        os.fsync(self.fd)
        name = segment_name(self._begun)
        try:
            give_name(self.fd, self._camera.directory, TEMPORARY, name)
        except FileExistsError:
            raise _exists(self._camera.path / name) from None
        os.fsync(self._camera.directory)
        return modified


class Target:
    """The primary's recordings, open, and locked against a second restore.

    With `into_empty` there need not be any camera yet, as on a new disk. `progress` is called again and again. Opening
    it and each method raise RestoreError if the primary can't be written to, which is NoRoomError if its disk is full,
    and DirectoryError if that is true of one camera.
    """

    def __init__(self, root: Path, progress: Callable[[], None], *, into_empty: bool) -> None:
        self._root = root
        self._progress = progress
        self._fd = -1
        try:
            self._take(into_empty=into_empty)
        except BaseException:
            self.close()
            raise

    def _take(self, *, into_empty: bool) -> None:
        root = self._root
        with self._errors(root, RestoreError):
            self._fd = _opened_root(root)
            about = os.fstat(self._fd)
            with acting_as_owner(about):
                if not try_lock(self._fd):
                    raise RestoreError(f"another restore writes to {root}: wait for it, or find it with fuser {root}")
                camera_ids = camera_directories(self._fd)
        if not camera_ids and not into_empty:
            raise RestoreError(
                f"the primary's {root} holds no camera: is its volume mounted? If it is a new disk: --into-empty"
            )
        for camera_id in camera_ids:
            # One that can't be entered is reported when something is to be written there.
            with suppress(OSError), acting_as_owner(about), self._opened(camera_id) as directory:
                _remove_leftover(directory)

    def close(self) -> None:
        """Give the lock back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @contextmanager
    def draft(self, camera_id: str, begun: int) -> Iterator[Draft]:
        """Yield a new file for a camera's footage from a Unix time on. Unless it is finished it is removed.

        Raises ExistsError if the primary has a file of that name, or Heldar is about to fetch one.
        """
        path = self._root / camera_id / segment_name(begun)
        with self._errors(path):
            self._make_directory(camera_id)
            with self._camera(camera_id) as camera:
                if _exists_at(path.name, camera.directory):
                    raise _exists(path)
                if _exists_at(f"{path.name}.part", camera.directory):
                    raise ExistsError(f"Heldar fetches {path} from the camera itself: it is left to that")
                _remove_leftover(camera.directory)
                with _made(camera) as fd:
                    yield Draft(fd, camera, begun)

    def touch(self, camera_id: str, begun: int, modified: float) -> None:
        """Set the time of a segment's last write (Unix seconds). Raises GoneError if it is not there."""
        path = self._root / camera_id / segment_name(begun)
        with self._errors(path):
            try:
                with self._camera(camera_id) as camera:
                    fd = open_plain(path.name, within=camera.directory)
                    try:
                        os.utime(fd, (modified, modified))
                    finally:
                        os.close(fd)
            except FileNotFoundError:
                raise GoneError(f"the primary's recording {path} is not there any more") from None

    @contextmanager
    def _camera(self, camera_id: str) -> Iterator[Camera]:
        """Open a camera's directory, and act as the owner of its files in the block. Raises OSError."""
        with ExitStack() as stack:
            with acting_as_owner(self._about()):
                directory = stack.enter_context(self._opened(camera_id))
                begun = list_segments(directory, self._progress)
                model = _newest(directory, begun) or self._newest_of_others()
            with _writing_as(model or os.fstat(directory)):
                yield Camera(self._root / camera_id, directory, begun, model)

    def _about(self) -> os.stat_result:
        """Return what the recordings directory is. Raises RestoreError if it is not at its path any more."""
        about = os.fstat(self._fd)
        with suppress(FileNotFoundError):
            if os.path.samestat(self._root.stat(), about):
                return about
        raise RestoreError(
            f"the primary's {self._root} is not what it was when this began: is its volume mounted? Restore again"
        )

    @contextmanager
    def _opened(self, camera_id: str) -> Iterator[int]:
        if not CAMERA_ID.fullmatch(camera_id):
            raise OSError(errno.EINVAL, "no camera is called so")
        with ExitStack() as stack:
            try:
                directory = stack.enter_context(camera_directory(self._fd, camera_id))
            except NotADirectoryError as error:
                reason = "its directory is a file, or a link, which is not followed"
                raise OSError(error.errno, reason) from None
            yield directory

    def _make_directory(self, camera_id: str) -> None:
        """Make a camera's directory if it is missing, like that of a different camera. Raises OSError."""
        about = self._about()
        with acting_as_owner(about):
            if _exists_at(camera_id, self._fd):
                return
            others = camera_directories(self._fd)
            model = os.stat(others[0], dir_fd=self._fd, follow_symlinks=False) if others else None
        with _writing_as(model or about):
            with suppress(FileExistsError):  # Heldar has just begun to record it
                os.mkdir(camera_id, DIRECTORY_MODE, dir_fd=self._fd)
                with self._opened(camera_id) as directory:
                    _make_like(directory, model)
            os.fsync(self._fd)

    def _newest_of_others(self) -> os.stat_result | None:
        """Return what the newest segment of some camera is."""
        for camera_id in camera_directories(self._fd):
            with suppress(OSError), self._opened(camera_id) as directory:
                if model := _newest(directory, list_segments(directory, self._progress)):
                    return model
        return None

    @contextmanager
    def _errors(self, path: Path, kind: type[MirrorError] = DirectoryError) -> Iterator[None]:
        """Turn each OSError in the block into an error for a person, about a path of the primary."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in NO_ROOM:
                raise NoRoomError(f"no room for the primary's {path}: {reason}. Make room, and restore again") from None
            text = f"cannot write the primary's {path}: {reason}"
            if error.errno == errno.EROFS:
                text += ". See dmesg: a file system that is damaged becomes so"
            elif isinstance(error, PermissionError):
                text += f". {self._remedy()}"
            raise (RestoreError if error.errno in OF_THE_DISK else kind)(text) from None

    def _remedy(self) -> str:
        owner = _user(os.fstat(self._fd).st_uid) if self._fd >= 0 else "the user of Heldar"
        if os.geteuid() == 0:
            return f"Root writes there as {owner}, who has to be allowed to"
        return f"Run this as root, or as {owner}"


def _opened_root(root: Path) -> int:
    """Return a descriptor of the recordings directory. Raises OSError."""
    try:
        return open_directory(root)
    except OSError as error:
        if error.errno != errno.ELOOP or os.geteuid() != 0:
            raise
    with acting_as_owner(root.stat()):  # root must not follow a link on the way, which its owner may
        return open_directory(root)


@contextmanager
def _writing_as(owner: os.stat_result) -> Iterator[None]:
    """Act as the owner of a file in the block. Raises PermissionError if we may not, since new files would be ours."""
    if os.geteuid() not in (0, owner.st_uid):
        raise PermissionError(errno.EPERM, f"the files there belong to {_user(owner.st_uid)}")
    with acting_as_owner(owner):
        yield


@contextmanager
def _made(camera: Camera) -> Iterator[int]:
    """Yield a new file that has no name of its own, and take away its temporary name in the end. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    fd = os.open(TEMPORARY, flags, FILE_MODE, dir_fd=camera.directory)
    try:
        _make_like(fd, camera.model)
        yield fd
    finally:
        os.close(fd)
        with suppress(OSError):  # what stays is removed by the next restore
            os.unlink(TEMPORARY, dir_fd=camera.directory)


def _make_like(fd: int, model: os.stat_result | None) -> None:
    """Give an open file or directory of ours the group and the mode of a different one. Raises OSError."""
    if model and os.fstat(fd).st_gid != model.st_gid:
        os.fchown(fd, -1, model.st_gid)
    if model and os.fstat(fd).st_mode != model.st_mode:
        os.fchmod(fd, stat.S_IMODE(model.st_mode))


def _newest(directory: int, begun: "array[int]") -> os.stat_result | None:
    """Return what the newest segment of an open directory is that is still there. Raises OSError."""
    for each in reversed(begun):
        with suppress(FileNotFoundError):
            return os.stat(segment_name(each), dir_fd=directory, follow_symlinks=False)
    return None


def _exists_at(name: str, directory: int) -> bool:
    """Return whether there is anything of a name in an open directory. Raises OSError."""
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    return False


def _remove_leftover(directory: int) -> None:
    """Remove what a restore that was killed has left in an open directory. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(TEMPORARY, dir_fd=directory)


def _exists(path: Path) -> ExistsError:
    return ExistsError(f"the primary has {path} by now: it is left as it is")


def _user(uid: int) -> str:
    name = user_name(uid)
    return f"user {name}" if name else f"user {uid}"
