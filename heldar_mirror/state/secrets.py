"""The settings that children inherit, the secrets that none does, and the file from which the watcher reads those."""

import os
from collections.abc import Mapping
from pathlib import Path

from heldar_mirror.children import child_environment
from heldar_mirror.env_file import escape_env, parse_env_file
from heldar_mirror.errors import MirrorError, StateError
from heldar_mirror.recorder import files
from heldar_mirror.setting_table import BY_NAME
from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import replace_file, state_errors
from heldar_mirror.state.identity import owner_ids

SECRETS_FILE = "secrets.env"
SECRET_VARIABLES = ("HELDAR_SECRET_KEY", "HELDAR_MIRROR_SUPERVISOR_PASSWORD")


def secrets_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secret variables of an environment that are set. A blank value counts as unset."""
    return {name: value for name in SECRET_VARIABLES if (value := environ.get(name, "").strip())}


def write_secrets(secrets: Mapping[str, str], settings: Settings) -> None:
    """Write secret variables into a file for the watcher, beside the launch specs; remove the file if there are none.

    Raises StateError.
    """
    path = settings.specs_dir / SECRETS_FILE
    text = "".join(f"{name}={escape_env(value)}\n" for name, value in sorted(secrets.items()))
    with state_errors(settings):
        if text:
            replace_file(path, text, 0o600, owner_ids(settings))
        else:
            path.unlink(missing_ok=True)


def read_secrets(specs_dir: Path) -> dict[str, str]:
    """Return the variables that `write_secrets` wrote. Raises StateError if they can't be read."""
    path = specs_dir / SECRETS_FILE
    try:
        return parse_env_file(files.as_text(files.read(str(path))))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, MirrorError) as error:
        raise StateError(
            f"cannot read the secrets in {path}: {error}. Restart heldar-mirror up, which writes it"
        ) from None


def environment() -> dict[str, str]:
    """Return this process's environment, with the secrets that `up` had in its own. Raises StateError."""
    specs_dir = os.environ.get("HELDAR_MIRROR_SPECS_DIR")
    return (read_secrets(Path(specs_dir)) if specs_dir else {}) | dict(os.environ)


def environment_with_settings() -> dict[str, str]:
    """Return the environment of a child that reads the settings: those that we have, without the secret ones."""
    names = BY_NAME.keys() - set(SECRET_VARIABLES)
    return child_environment() | {name: os.environ[name] for name in names if name in os.environ}
