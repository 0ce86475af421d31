"""The launch spec of one camera: what its recorder runs, and where."""

import re
from dataclasses import dataclass, field

from heldar_mirror.recorder.launch_spec import parse_spec
from heldar_mirror.recorder.masking import mask
from heldar_mirror.settings import Settings

# Unix seconds, or more after many changes in one second.
GENERATION = "[0-9]{1,20}"


@dataclass(frozen=True)
class LaunchSpec:
    """A launch spec: what the recorder of a camera runs, and where. recorder/launch_spec.py has the file's format."""

    camera_id: str
    root: str
    volume: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    args: tuple[str, ...] = field(repr=False)

    @property
    def directory(self) -> str:
        """The camera directory."""
        return f"{self.root}/{self.camera_id}"

    def masked_url(self) -> str:
        """Return the URL without credentials."""
        return mask(self.url, self.secrets)

    def render(self, generation: int) -> str:
        """Return the text of the launch spec's file. Raises ValueError for a value with a line break."""
        fields = [
            ("generation", str(generation)),
            ("camera", self.camera_id),
            ("root", self.root),
            ("volume", self.volume),
            ("directory", self.directory),
            *(("secret", secret) for secret in self.secrets),
            ("url", self.url),
            *(("arg", arg) for arg in self.args),
        ]
        if broken := [key for key, value in fields if "\n" in value]:
            raise ValueError(f"a line break in {', '.join(broken)} of {self.camera_id}")
        return "".join(f"{key}={value}\n" for key, value in fields)


def parse_launch_spec(text: str) -> tuple[LaunchSpec, int]:
    """Return the launch spec in a file's text, and its generation. Raises ValueError if the text is not one."""
    spec = parse_spec(text)
    generation = spec["generation"][0]
    if not re.fullmatch(GENERATION, generation):
        raise ValueError("a generation that is no number")
    return (
        LaunchSpec(
            camera_id=spec["camera"][0],
            root=spec["root"][0],
            volume=spec["volume"][0],
            url=spec["url"][0],
            secrets=tuple(spec["secret"]),
            args=tuple(spec["arg"]),
        ),
        int(generation),
    )


def spec_path(camera_id: str, settings: Settings) -> str:
    """Return the path of a camera's launch spec. It is a text, since making a Path takes ten times as long."""
    return f"{settings.specs_dir}/{camera_id}.spec"
