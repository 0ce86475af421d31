"""The lines between the watcher and a child process that it keeps running, and the child's end of them.

The watcher writes one line to the child's standard input, its settings as a JSON object, and keeps that pipe open: the
child ends when it is closed. Each later line is a JSON list of texts. Whenever its problems change, the child writes
all of them in one line to its standard output, as a JSON list of texts. After an upgrade the child may be newer than
its watcher, so it ignores settings whose names are new to it, and uses the default of a setting that is missing.
"""

import json
import os
import select
import time
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# No line of the protocol is longer: a child publishes at most 21 texts of 5,000 characters, each at most 12 bytes in
# JSON.
MAX_LINE = 2 << 20

# The watcher writes the settings at once, but it may be suspended, or the machine busy.
SETTINGS_SECONDS = 30.0

# No number among the settings is greater.
MAX_NUMBER = 1 << 62

# A dataclass with the settings of a child. A field is a Path, a Path or None, an int, a float, or a text or None. The
# least value of a number is in the field's metadata, as `least`.
S = TypeVar("S", bound="DataclassInstance")


def encode_settings(settings: Any) -> bytes:
    """Return the line by which a child gets its settings, a dataclass."""
    values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()}
    return json.dumps(values).encode() + b"\n"


def decode_settings(line: bytes, kind: type[S]) -> S:
    """Return the settings in such a line. Raises ValueError for any other line, with what was expected."""
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise ValueError("expected the settings from the watcher, as a JSON object in one line") from None
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object with the settings, not {_shown(found)}")
    values = {}
    for each in fields(kind):
        if each.name in found:
            values[each.name] = _checked(each, found[each.name])
        elif each.default is MISSING:
            raise ValueError(f"the settings from the watcher lack {each.name}")
    return kind(**values)


def _checked(setting: "Field[Any]", value: object) -> Any:
    """Return the value of a setting with the right type. Raises ValueError if it is none for this setting."""
    name, kind = setting.name, setting.type
    if kind == Path | None and value is None:
        return None
    if kind in (Path, Path | None):
        if isinstance(value, str) and value.startswith("/") and "\0" not in value and _is_encodable(value):
            return Path(value)
        raise ValueError(f"{name} is {_shown(value)}, expected an absolute path")
    if kind in (int, float):
        least = setting.metadata["least"]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= MAX_NUMBER:
            return int(value) if kind is int else float(value)
        raise ValueError(f"{name} is {_shown(value)}, expected a number, {least} or more")
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{name} is {_shown(value)}, expected a text or null")


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    return ascii(value)[:60]


def encode_texts(texts: Iterable[str]) -> bytes:
    """Return the line of such texts."""
    return json.dumps(list(texts)).encode() + b"\n"


def decode_texts(line: bytes) -> list[str] | None:
    """Return the texts in a line, or None if it is not a JSON list of texts."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(text, str) for text in found) else None


# The child's end.


def receive_settings(fd: int, kind: type[S], seconds: float = SETTINGS_SECONDS) -> S:
    """Read the line with the settings from a pipe.

    Raises ValueError if the line is not one, or does not come within `seconds`, and OSError if it can't be read.
    """
    received, deadline = b"", time.monotonic() + seconds
    # An older watcher wrote a different format, without a newline at its end. So reading stops if the first byte is
    # wrong.
    while b"\n" not in received and received[:1] in {b"", b"{"} and len(received) <= MAX_LINE:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise ValueError(f"expected the settings from the watcher within {seconds:.0f} s")
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            break
        received += chunk
    return decode_settings(received, kind)


def publish(problems: list[str]) -> None:
    """Write the problems of this child to the watcher. Raises BrokenPipeError if the watcher has ended."""
    os.write(1, encode_texts(problems))


class LaterLines:
    """Reads the lines that the watcher writes after the settings, and calls `take` with the texts in each."""

    def __init__(self, fd: int, take: Callable[[list[str]], None]) -> None:
        self._fd = fd
        self._take = take
        self._rest = b""

    def wait(self, seconds: float) -> bool:
        """Wait for a line, at most so long. Return whether the input has ended."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        chunk = os.read(self._fd, 1 << 16)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if (texts := decode_texts(line)) is not None:  # else the watcher is newer than we are
                self._take(texts)
        return not chunk
