"""Footage that only the mirror has, what a restore is to make of it, and how the result is looked at."""

import functools
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from heldar_mirror.restore.plan import NewFile, Piece
from heldar_mirror.restore.target import TEMPORARY
from heldar_mirror.settings import Settings
from heldar_mirror.sides.recorded import Identity
from support.made_footage import adopt, begun_of, settings_of
from support.mirror import Mirror
from support.two_copies import DEBIAN, NEWEST, film, segment
from support.waiting import COMMAND_SECONDS

BEGUN = 1_700_000_000
FRESH = 2_000_000_000.0


# Restores the mirror's files of a camera, as the mirror's user once the writer has begun, and prints what became.
RESTORE = """
import os, sys
from pathlib import Path
from heldar_mirror.errors import MirrorError
from heldar_mirror.footage.names import segment_begun
from heldar_mirror.restore.plan import NewFile, Piece
from heldar_mirror.restore.writing import Writer
from heldar_mirror.settings import load_settings
from heldar_mirror.state.identity import become
settings = load_settings(os.environ)
try:
    with Writer(settings) as writer:
        if settings.user:
            become(settings.user)
        for name in sys.argv[1:]:
            begun = segment_begun(name)
            print(os.getuid(), writer.write(NewFile("gate", begun, (Piece(begun, None, begun),), 0, 0, 0),
                fresh_until=2e9).size)
except MirrorError as error:
    print(type(error).__name__, error)
"""


def primary_directory(mirror: Mirror, camera_id: str = "gate") -> Path:
    return Path(mirror.env["HELDAR_RECORDINGS_DIR"]) / camera_id


def mirror_directory(mirror: Mirror) -> Path:
    """Return the directory of the camera gate in the mirror, made if it is missing."""
    directory = Path(mirror.env["HELDAR_MIRROR_RECORDINGS_DIR"]) / "gate"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def swap_places(mirror: Mirror) -> Path:
    """Let the primary be where the mirror root otherwise is, and the mirror elsewhere. Return that place."""
    copy = mirror.home / "copy"
    copy.mkdir()
    mirror.env |= {"HELDAR_RECORDINGS_DIR": str(mirror.root), "HELDAR_MIRROR_RECORDINGS_DIR": str(copy)}
    return mirror.root


@functools.cache
def recording(ffmpeg: str) -> dict[str, bytes]:
    """Return the segments, by their names, in which an ffmpeg records a film: three of four seconds."""
    with tempfile.TemporaryDirectory() as directory:
        made = segment(ffmpeg, film(Path(directory, "film.mp4"), 12), Path(directory, "gate"), BEGUN)
        return {path.name: path.read_bytes() for path in made}


def lose_footage(mirror: Mirror, ffmpeg: str = NEWEST) -> list[Path]:
    """Let the mirror have what an ffmpeg has recorded of a camera, of which the primary has nothing but a later file.
    Return the mirror's files."""
    adopt(mirror)
    directory = mirror_directory(mirror)
    for name, content in recording(ffmpeg).items():
        (directory / name).write_bytes(content)
    put_later_file(mirror)
    return [directory / name for name in recording(ffmpeg)]


def lose_bytes(mirror: Mirror, size: int) -> Path:
    """Let the mirror have a file of so many bytes, which is no recording, instead. Return it."""
    adopt(mirror)
    path = mirror_directory(mirror) / "20260101_000000.mp4"
    path.write_bytes(os.urandom(1 << 20) * (size >> 20))
    put_later_file(mirror)
    return path


def put_later_file(mirror: Mirror) -> None:
    directory = primary_directory(mirror)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "20991231_235959.mp4").write_bytes(b"Heldar's own")


def piece_of(path: Path, chosen: tuple[int, int] | None = None) -> Piece:
    about = path.stat()
    identity = Identity(about.st_size, about.st_mtime_ns, about.st_ino)
    return Piece(begun_of(path), chosen, begun_of(path), identity)


def new_file(*pieces: Piece, camera_id: str = "gate", name: int | None = None) -> NewFile:
    """Return a file that is named by its first piece, unless it has a name."""
    return NewFile(camera_id, pieces[0].begun if name is None else name, pieces, 0, 0, 0)


def restoring_settings(mirror: Mirror, user: str | None = None) -> Settings:
    return replace(settings_of(mirror), user=user)


def segments(directory: Path) -> list[Path]:
    """Return what Heldar would take for a recording."""
    return sorted(directory.glob("*.mp4"))


def leftovers(mirror: Mirror) -> list[Path]:
    return list(primary_directory(mirror).parent.rglob(TEMPORARY))


def mirror_of(user: str, mirror: Mirror) -> None:
    """Give all of the mirror to a user, for whom alone it can be read."""
    entry = pwd.getpwnam(user)
    for top in (mirror.root, mirror.state):
        for path in (top, *top.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)
            path.chmod(0o700 if path.is_dir() else 0o600)


def check_plays(path: Path, seconds: float) -> None:
    """Both ffmpegs decode a file without a complaint, and ffprobe tells its length."""
    for ffmpeg in (DEBIAN, NEWEST):
        assert output([ffmpeg, "-v", "error", "-i", str(path), "-f", "null", "-"]) == ""
    told = output(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)])
    assert abs(float(told) - seconds) < 0.2


def output(command: Iterable[str]) -> str:
    done = subprocess.run([*command], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
    assert done.stderr == ""
    return done.stdout
