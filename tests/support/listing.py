"""A mirror root whose segments are listed in manifests, without any other process."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.footage.names import segment_name
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.manifests.lister import Lister
from heldar_mirror.manifests.settings import ManifestSettings
from heldar_mirror.recorder.volume import LOCK, MARKER
from support.made_footage import FRAGMENT

VOLUME = "id-of-the-volume"


@dataclass
class Listed:
    """A mirror root below `home`, a clock, and what was published."""

    home: Path
    now: float = 1000.0
    published: list[list[str]] = field(default_factory=list)
    lister: Lister = field(init=False)
    settings: ManifestSettings = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        self.mark(VOLUME)
        self.state.mkdir(exist_ok=True)
        self.remember(VOLUME)
        self.settings = ManifestSettings(mirror_root=self.root, state_dir=self.state)
        self.begin()

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    @property
    def state(self) -> Path:
        return self.home / "state"

    def mark(self, volume: str) -> None:
        """Put a volume's marker into the mirror root."""
        (self.root / MARKER).write_text(volume)
        (self.root / MARKER).chmod(0o600)

    def remember(self, volume: str) -> None:
        """Take a volume for that of the mirror root."""
        (self.state / "volumes").write_text(f"{volume} {self.root}\n")

    def begin(self) -> None:
        """Begin with a new process, which knows nothing."""
        self.lister = Lister(self.settings, self.published.append, self.clock)

    def clock(self) -> float:
        """Return the time. It hardly goes on by itself."""
        self.now += 1e-6
        return self.now

    def camera(self, camera_id: str = "gate") -> Path:
        """A camera's directory, made as a recorder makes it."""
        directory = self.root / camera_id
        if not directory.exists():
            directory.mkdir()
            (directory / LOCK).write_text(f"{camera_id}\n")
        return directory

    def put(self, *begun: int, camera_id: str = "gate") -> None:
        """Put closed segments there, each with a content of its own."""
        for each in begun:
            path = self.camera(camera_id) / segment_name(each)
            path.write_bytes(FRAGMENT + f"{camera_id} {each}".encode())

    @contextmanager
    def recording(self, begun: int, camera_id: str = "gate") -> Iterator[Path]:
        """Record a segment as ffmpeg and a recorder do, which names it while it is open."""
        numbered = self.camera(camera_id) / ".new-1-0.mp4"
        path = numbered.with_name(segment_name(begun))
        with numbered.open("xb", buffering=0) as file:
            file.write(FRAGMENT)
            numbered.rename(path)
            yield path
            file.write(f"{camera_id} {begun}".encode())

    def run(self, seconds: float = 0) -> None:
        """Let some time pass, and take turns until nothing is to be done any more."""
        self.now += seconds
        for _ in range(1000):
            if self.lister.turn() is None:
                return
        raise AssertionError("there is always something to be done")

    def lines(self, camera_id: str = "gate") -> list[str]:
        """The lines of a camera's manifests, but for comments."""
        texts = [path.read_text() for path in sorted((self.root / DIRECTORY / camera_id).glob("*"))]
        return sorted(line for text in texts for line in text.splitlines() if not line.startswith("#"))

    def listed(self, camera_id: str = "gate") -> list[str]:
        """The names of the listed segments, in order. Fails for one that is listed twice, or with a wrong sum."""
        names = []
        for line in self.lines(camera_id):
            digest, name = line.split("  ")
            path = self.root / name
            if path.exists():
                assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, f"{name} was listed while it was open"
            names.append(path.name)
        assert not [name for name, count in Counter(names).items() if count > 1]
        return sorted(names)
