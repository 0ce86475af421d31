"""The programs file: one supervisord stanza for each mirrored camera."""

import functools
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import jinja2

from heldar_mirror.children import TERM_WITH_US
from heldar_mirror.proc.recorders import RECORDER
from heldar_mirror.programs.launch_spec import GENERATION, spec_path
from heldar_mirror.settings import Settings

# The stanzas name Python the same way, whether this process was started as python, python3 or python3.11, since a
# changed stanza restarts its recorder.
_USUAL = Path(sys.prefix, "bin/python3")
PYTHON = str(_USUAL) if _USUAL.exists() else sys.executable

HEADING = re.compile(r"^\[program:(.+)\]$", re.MULTILINE)
# The pattern begins with plain text instead of '^', since `re` finds that much faster.
STANZA = re.compile(rf"\n\[program:(.+)\]\ncommand=.* ({GENERATION})$", re.MULTILINE)


def program_name(camera_id: str, settings: Settings) -> str:
    """Return the name of a camera's program, which is also its group's: supervisord puts each in a group of its own."""
    return f"{settings.prefix}{camera_id}"


def log_path(camera_id: str, settings: Settings) -> str:
    """Return the path of the log of a camera's program."""
    return f"{settings.log_dir}/{program_name(camera_id, settings)}.log"


def render_programs(generations: Mapping[str, int], settings: Settings) -> str:
    """Return the programs file. A camera's stanza changes when the generation of its launch spec does."""
    # Made only once, since quoting is slow.
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
    )


def parse_programs(text: str) -> dict[str, int]:
    """Return the program names in the text of a programs file, with the generations of their launch specs."""
    return {name: int(generation) for name, generation in STANZA.findall(text)}


def parse_names(text: str) -> frozenset[str]:
    """Return the program names in the text of a programs file, also those of stanzas that somebody edited."""
    return frozenset(HEADING.findall(text))


def python_command(*args: str) -> str:
    """Return a command, quoted for supervisord, that runs Python with `args` and ends it if supervisord dies."""
    return command_line(*TERM_WITH_US, PYTHON, *args)


def command_line(*args: str) -> str:
    """Return arguments as one command for supervisord: it splits as a shell does, but first cuts at ' ;' and ' #'."""
    return " ".join(re.sub(r" (?=[;#])", " ''", shlex.quote(arg)) for arg in args)


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a template of ours, with the filter `percentescape` for values that supervisord expands."""
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
