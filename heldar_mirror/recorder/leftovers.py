"""What a killed ffmpeg or recorder leaves behind: files under their numbers, and stubs.

It is imported only when it is needed, since most recorders do without it while they record.
"""

import posix

from .files import open_plain
from .segments import is_numbered, name_file, run_and_number


def name_leftovers(directory: str) -> None:
    """Name the files that a recorder or a machine which was killed has left under their numbers; remove stubs.

    The caller holds the directory's lock. A file was opened when the one before it was written last, but not before its
    run began. Raises OSError, also if a file can't be named: then nothing may be recorded there.
    """
    names = posix.listdir(directory)
    left = sorted(filter(is_numbered, names), key=run_and_number)
    named = [name for name in names if len(name) == 19 and name[:8].isdecimal() and name.endswith(".mp4")]
    before = f"{directory}/{max(named)}" if left and named else ""
    for name in left:
        path = f"{directory}/{name}"
        if is_stub(path):
            posix.unlink(path)
            continue
        opened = float(run_and_number(name)[0])
        if before:
            opened = max(opened, posix.stat(before).st_mtime)
        before = name_file(directory, name, min(opened, posix.stat(path).st_mtime))


def is_stub(path: str) -> bool:
    """Return whether an mp4 file has no `moof` box, so that nothing was recorded in it. Raises OSError."""
    fd = open_plain(path)
    try:
        end, at = posix.fstat(fd).st_size, 0
        while at + 8 <= end:
            header = posix.pread(fd, 8, at)
            if header[4:] == b"moof":
                return False
            size = int.from_bytes(header[:4], "big")
            if size < 8:
                break
            at += size
        return True
    finally:
        posix.close(fd)
