"""Env files, as systemd reads them."""

import os
import re
from pathlib import Path

from heldar_mirror.errors import SettingsError
from heldar_mirror.recorder import files


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file, or none if it is missing or /dev/null. A link is followed, as by systemd.

    Raises SettingsError, which names the file, if it can't be read.
    """
    if os.path.realpath(path) == os.devnull:
        return {}
    try:
        return parse_env_file(files.as_text(files.read(str(path), links=True)))
    except FileNotFoundError:
        return {}
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    except files.NotPlainError as error:
        raise SettingsError(f"cannot read the settings in {path}: {error.strerror}") from None
    except (OSError, ValueError) as error:
        is_refused = isinstance(error, PermissionError)
        remedy = "Run as root, or as its group" if is_refused else "Expected a text in UTF-8; save it anew"
        raise SettingsError(f"cannot read the settings in {path}: {error}. {remedy}.") from None


def parse_env_file(text: str) -> dict[str, str]:
    """Return the variables in the text of an env file, as systemd's EnvironmentFile= reads it.

    Line continuations are not supported. Raises SettingsError for a line that begins with `export`.
    """
    variables = {}
    for line in map(str.strip, re.split(r"[\r\n]", text)):
        name, equals, value = line.partition("=")
        if not equals or line[0] in "#;=":
            continue
        if name.split()[0] == "export":
            shown = " ".join(line.partition("=")[0].split())
            raise SettingsError(f"{shown}: expected a line without export, as systemd reads it")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == "'":
            value = value[1:-1]
        elif len(value) > 1 and value[0] == value[-1] == '"':
            value = re.sub(r'\\(["\\`$])', r"\1", value[1:-1])
        else:
            value = re.sub(r"\\(.)", r"\1", value)
        variables[name.strip()] = value
    return variables


def escape_env(value: str) -> str:
    """Return a value without line breaks, escaped for an env file."""
    return re.sub(r"(.)", r"\\\1", value)
