"""Opening and reading files, without `os`, whose import would cost memory.

Every file of the state, every env file and every file of ours on the volume is opened by `open_plain`. So whatever else
may lie in its place is neither waited for, nor followed, nor read without end.
"""

import posix

# No file of ours is nearly as large.
MAX_BYTES = 64 << 20

# The mode of each file that is made, since whoever may read a file may lock it.
PRIVATE = 0o600

# These are from Linux's headers, since loading `stat` and `errno` would cost memory.
S_IFMT, S_IFREG = 0o170000, 0o100000
ENXIO, EISDIR, EINVAL, EFBIG, ELOOP = 6, 21, 22, 27, 40


class NotPlainError(OSError):
    """A path leads to no plain file, or to a file that is larger than any of ours."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def open_plain(path: str, flags: int = posix.O_RDONLY, *, within: "int | None" = None, links: bool = False) -> int:
    """Return a descriptor of a plain file. Raises OSError, which names the file.

    With O_CREAT in `flags` a missing file is made, for us alone. A FIFO is not waited for, and a link is refused unless
    `links`. A relative path begins at the directory `within`.
    """
    flags |= posix.O_NONBLOCK | posix.O_NOCTTY | (0 if links else posix.O_NOFOLLOW)
    try:
        fd = posix.open(path, flags, PRIVATE, dir_fd=within)
    except OSError as error:
        if error.errno in (ENXIO, EISDIR, ELOOP):
            raise _not_plain(path) from None
        raise
    if posix.fstat(fd).st_mode & S_IFMT != S_IFREG:
        posix.close(fd)
        raise _not_plain(path)
    return fd


def _not_plain(path: str) -> NotPlainError:
    reason = "expected a plain file, and found a link, a directory, a FIFO or the like. Put the file back, or remove it"
    return NotPlainError(EINVAL, reason, path)


def read(path: str, *, links: bool = False) -> bytes:
    """Return the content of a plain file of at most MAX_BYTES. Raises OSError, which names the file."""
    fd = open_plain(path, links=links)
    try:
        return read_all(fd, path)
    finally:
        posix.close(fd)


def read_all(fd: int, path: str) -> bytes:
    """Return what is left of an open file, at most MAX_BYTES. Raises OSError, which names it by `path`."""
    chunks, left = [], MAX_BYTES
    try:
        while chunk := posix.read(fd, 65536):
            chunks.append(chunk)
            left -= len(chunk)
            if left < 0:
                raise NotPlainError(EFBIG, f"expected at most {MAX_BYTES >> 20} MiB. Put the file back, or remove it")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from None  # read()'s own error doesn't name it
    return b"".join(chunks)


def as_text(content: bytes) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark. Raises ValueError for other bytes."""
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 from byte {error.start} on") from None


def exists(path: str) -> bool:
    """Return whether there is a file at `path`, if only a link. Raises OSError if that can't be seen."""
    try:
        posix.lstat(path)
    except FileNotFoundError:
        return False
    return True
