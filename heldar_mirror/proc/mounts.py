"""Find the mount that a path is on, from /proc/self/mountinfo. The path is not touched, and need not exist."""

import re
from dataclasses import dataclass
from pathlib import Path

# On these, Linux does not know what a different machine writes or has open.
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "ncpfs", "afs", "ceph", "9p", "glusterfs", "lustre", "virtiofs"}


@dataclass(frozen=True)
class Mount:
    """The mount of a path: the device (such as `8:1`), the path on that device, and the type of the file system."""

    device: str
    path_on_device: Path
    file_system: str


def mount_of(path: Path) -> Mount:
    """Return the mount of a path whose links the caller has resolved. Raises OSError without /proc."""
    return find_mount(path, Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))


def find_mount(path: Path, mountinfo: str) -> Mount:
    """Return the mount of a path, by the text of a mountinfo file. Its texts are empty if no mount holds the path."""
    mount, longest = Mount("", path, ""), -1
    # Of two mounts at one point, the later one hides the earlier.
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        device, root, point = (re.sub(r"\\(\d{3})", _unescaped, text) for text in before.split()[2:5])
        if path.is_relative_to(point) and len(point) >= longest:
            mount, longest = Mount(device, Path(root) / path.relative_to(point), after.split()[0]), len(point)
    return mount


def _unescaped(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))
