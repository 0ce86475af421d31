"""The programs file: one supervisord stanza for each mirrored camera."""

import functools
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

# One name for Python, whether this process was started as python, python3 or python3.11: a changed stanza would restart
# its recorder.
_USUAL = Path(sys.prefix, "bin/python3")


PYTHON = str(_USUAL) if _USUAL.exists() else sys.executable


# It begins with a plain text instead of '^', which `re` finds much faster.
STANZA = re.compile(r"\n\[program:(.+)\]\ncommand=.* (\d+)$", re.MULTILINE)


def program_name(camera_id: str, settings: Settings) -> str:
    """Return the name of a camera's program and of its group: a program outside a group is a group of its own."""
    return f"{settings.prefix}{camera_id}"


def log_path(camera_id: str, settings: Settings) -> str:
    return f"{settings.log_dir}/{program_name(camera_id, settings)}.log"


def render_programs(generations: Mapping[str, int], settings: Settings) -> str:
    """Return the programs file: a stanza for each camera, which changes when the generation of its launch spec does."""
    # Quoting is slow, and this part is the same for all cameras.
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
    """Return the program names of a rendered file, with the generations of their launch specs."""
    return {name: int(generation) for name, generation in STANZA.findall(text)}


def python_command(*args: str) -> str:
    """Return the command of a Python that is sent SIGTERM if supervisord dies, quoted for supervisord."""
    return command_line("setpriv", "--pdeathsig", "TERM", "--", PYTHON, *args)


def command_line(*args: str) -> str:
    """Quote arguments for supervisord, which splits a command as a shell does, but first cuts it at ' ;' and ' #'."""
    return " ".join(re.sub(r" (?=[;#])", " ''", shlex.quote(arg)) for arg in args)


@functools.cache
def template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("heldar_mirror"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - not HTML; the filter doubles what supervisord would expand
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percentescape"] = lambda value: str(value).replace("%", "%%")
    return environment.get_template(name)
