"""The programs file: one supervisord stanza for each mirrored camera."""

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import jinja2

from heldar_mirror.proc.recorders import RECORDER
from heldar_mirror.programs.launch_spec import spec_path
from heldar_mirror.recorder import recorder
from heldar_mirror.settings import Settings

# By one name, whether we were called by python, python3 or python3.11: a stanza that changes restarts its recorder.
_USUAL = Path(sys.prefix, "bin/python3")


PYTHON = str(_USUAL) if _USUAL.exists() else sys.executable


# Without a '^' it begins with a text that `re` looks for in one go.
STANZA = re.compile(r"\n\[program:(.+)\]\ncommand=.* (\d+)$", re.MULTILINE)


def program_name(camera_id: str, settings: Settings) -> str:
    """The program's name, which is its group's as well: a program outside a group is a group of its own."""
    return f"{settings.prefix}{camera_id}"


def log_path(camera_id: str, settings: Settings) -> str:
    return f"{settings.log_dir}/{program_name(camera_id, settings)}.log"


def render_programs(generations: Mapping[str, int], settings: Settings) -> str:
    """Return the programs file: a stanza for each camera, which changes when its launch spec's generation does."""
    # Quoting takes a while, and this is the same for all.
    recorder_command = python_command("-I", "-S", str(RECORDER))
    programs = [
        {
            "name": program_name(camera_id, settings),
            "command": f"{recorder_command} {command_line(spec_path(camera_id, settings))} {generation}",
            "log": log_path(camera_id, settings),
        }
        for camera_id, generation in sorted(generations.items())
    ]
    user = settings.user if settings.joined else None
    return template("programs.conf.j2").render(
        programs=programs,
        umask=f"{settings.umask:03o}",
        user=user,
        failed_soon=recorder.FAILED_SOON,
        start_seconds=recorder.START_SECONDS,
    )


def parse_programs(text: str) -> dict[str, int]:
    """Return the names of a rendered file's programs, with the generations of their launch specs."""
    return {name: int(generation) for name, generation in STANZA.findall(text)}


def python_command(*args: str) -> str:
    """Return the command of a Python that is sent SIGTERM if supervisord dies, quoted for supervisord."""
    return command_line("setpriv", "--pdeathsig", "TERM", "--", PYTHON, *args)


def command_line(*args: str) -> str:
    """Quote arguments for supervisord, which splits a command like a shell, but first cuts it at ' ;' and ' #'."""
    return " ".join(re.sub(r" (?=[;#])", " ''", shlex.quote(arg)) for arg in args)


def template(name: str) -> jinja2.Template:
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
