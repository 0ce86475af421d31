"""What should run: a launch spec for each camera, and the stanzas that tell supervisord of them. All pure."""

import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from heldar_mirror.heldar import camera_url, cameras, sealed
from heldar_mirror.heldar.cameras import Camera, CameraError, Row, Unusable
from heldar_mirror.recorder import recorder
from heldar_mirror.settings import Settings

RECORDER = Path(recorder.__file__).with_name("start_recorder.py").absolute()

# By one name, whether we were called by python, python3 or python3.11: a stanza that changes restarts its recorder.
_USUAL = Path(sys.prefix, "bin/python3")
PYTHON = str(_USUAL) if _USUAL.exists() else sys.executable

# Without a '^' it begins with a text that `re` looks for in one go.
STANZA = re.compile(r"\n\[program:(.+)\]\ncommand=.* (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class LaunchSpec:
    """What the recorder of one camera runs, and where. The file format is the recorder's."""

    camera_id: str
    root: str
    volume: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    args: tuple[str, ...] = field(repr=False)

    @property
    def directory(self) -> str:
        return f"{self.root}/{self.camera_id}"

    @property
    def segment_seconds(self) -> int:
        return int(self.args[self.args.index("-segment_time") + 1])

    def masked_url(self) -> str:
        return recorder.mask(self.url, self.secrets)

    def render(self, generation: int) -> str:
        """Return the text of the recorder's file. Raises ValueError for a value that would be two of its lines."""
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
    """Return a rendered launch spec and its generation. Raises ValueError."""
    spec = recorder.parse_spec(text)
    return (
        LaunchSpec(
            camera_id=spec["camera"][0],
            root=spec["root"][0],
            volume=spec["volume"][0],
            url=spec["url"][0],
            secrets=tuple(spec["secret"]),
            args=tuple(spec["arg"]),
        ),
        int(spec["generation"][0]),
    )


@dataclass(frozen=True)
class Desired:
    """What the table asks for. `unwanted` are the cameras that clearly ask for no mirror; `held` ask for one that can't
    be begun now."""

    specs: Mapping[str, LaunchSpec]
    unwanted: frozenset[str] = frozenset()
    unusable: tuple[Unusable, ...] = ()
    held: frozenset[str] = frozenset()


def desired_state(rows: Iterable[Row], settings: Settings, volume: str) -> Desired:
    """Return what should run, given all rows of the table and the id of the volume. Raises nothing for a bad row."""
    specs, unwanted, unusable = {}, set(), []
    for row in rows:
        try:
            wanted = settings.recorder_enabled and cameras.should_mirror(row)
            if not wanted:
                unwanted.add(cameras.shown_id(row))
                continue
            camera = cameras.parse_camera(row, lambda value: sealed.unseal(value, settings.secret_key))
            url = camera_url.record_url(camera)
        except CameraError as error:
            unusable.append(Unusable(cameras.shown_id(row), str(error)))
            continue
        root = str(settings.mirror_root)
        specs[camera.id] = LaunchSpec(
            camera_id=camera.id,
            root=root,
            volume=volume,
            url=url,
            secrets=camera_url.secrets(camera, url),
            args=tuple(build_record_command(settings.ffmpeg, camera, url, f"{root}/{camera.id}")),
        )
    return Desired(specs, frozenset(unwanted), tuple(unusable))


def build_record_command(ffmpeg: str, camera: Camera, url: str, directory: str) -> list[str]:
    """Return the arguments of the primary's own recording command, with the mirror's directory.

    `-nostdin` is left out, since ffmpeg 7.0 ignores its first SIGTERM with it, and segments last 4 s at least.
    """
    return [
        *[ffmpeg, "-hide_banner", "-loglevel", "warning"],
        *["-rtsp_transport", "tcp", "-timeout", "15000000", "-i", url, "-c", "copy"],
        *(["-c:a", "copy"] if camera.record_audio else ["-an"]),
        *["-f", "segment", "-segment_time", str(camera.segment_seconds), "-segment_format", "mp4"],
        *["-segment_format_options", "movflags=+frag_keyframe+empty_moov+default_base_moof"],
        *["-reset_timestamps", "1", "-strftime", "1"],
        # strftime is given the whole path, so a '%' in the directory has to be doubled.
        f"{directory.replace('%', '%%')}/{recorder.SEGMENT_NAME}",
    ]


def program_name(camera_id: str, settings: Settings) -> str:
    """The program's name, which is its group's as well: a program outside a group is a group of its own."""
    return f"{settings.prefix}{camera_id}"


# Texts, since a Path takes ten times as long to make.
def spec_path(camera_id: str, settings: Settings) -> str:
    return f"{settings.specs_dir}/{camera_id}.spec"


def log_path(camera_id: str, settings: Settings) -> str:
    return f"{settings.log_dir}/{program_name(camera_id, settings)}.log"


def render_programs(generations: Mapping[str, int], settings: Settings) -> str:
    """Return the programs file: a stanza for each camera, which changes when its launch spec's generation does."""
    # Quoting takes a while, and this is the same for all.
    recorder_command = _command_line("setpriv", "--pdeathsig", "TERM", "--", PYTHON, "-I", "-S", str(RECORDER))
    programs = [
        {
            "name": program_name(camera_id, settings),
            "command": f"{recorder_command} {_command_line(spec_path(camera_id, settings))} {generation}",
            "log": log_path(camera_id, settings),
        }
        for camera_id, generation in sorted(generations.items())
    ]
    user = settings.user if settings.joined else None
    return _template("programs.conf.j2").render(
        programs=programs,
        umask=f"{settings.umask:03o}",
        user=user,
        failed_soon=recorder.FAILED_SOON,
        start_seconds=recorder.START_SECONDS,
    )


def render_supervisord(settings: Settings, user: str, minfds: int, directory: str) -> str:
    """Return the configuration of a supervisord of our own that runs as `user` and can hold `minfds` descriptors.

    Relative paths of the settings are relative to `directory`.
    """
    watch = _command_line(
        *["setpriv", "--pdeathsig", "TERM", "--", PYTHON, "-m", "heldar_mirror"],
        *["watch", "--directory", directory],
    )
    return _template("supervisord.conf.j2").render(settings=settings, user=user, minfds=minfds, watch=watch)


def parse_programs(text: str) -> dict[str, int]:
    """Return the names of a rendered file's programs, with the generations of their launch specs."""
    return {name: int(generation) for name, generation in STANZA.findall(text)}


def _command_line(*args: str) -> str:
    """Quote arguments for supervisord, which splits a command like a shell, but first cuts it at ' ;' and ' #'."""
    return " ".join(re.sub(r" (?=[;#])", " ''", shlex.quote(arg)) for arg in args)


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("heldar_mirror"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - not HTML; what supervisord would expand is doubled by the filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percentescape"] = lambda value: str(value).replace("%", "%%")
    return environment.get_template(name)
