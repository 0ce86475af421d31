"""Reading files without `os`, whose import would cost memory."""

import posix


def read(path: str) -> bytes:
    """Return the content of a file. Raises OSError, which names the file."""
    fd = posix.open(path, posix.O_RDONLY)
    try:
        chunks = []
        while chunk := posix.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None  # read()'s own error doesn't name it
    finally:
        posix.close(fd)


def exists(path: str) -> bool:
    """Return whether there is a file at `path`, if only a link. Raises OSError if that can't be seen."""
    try:
        posix.lstat(path)
    except FileNotFoundError:
        return False
    return True
