"""Reading the files of the state."""

from pathlib import Path

from heldar_mirror.errors import StateError
from heldar_mirror.recorder import files
from heldar_mirror.state.directory import StateSettings, state_errors


def read_state(path: Path, settings: StateSettings, remedy: str) -> str | None:
    """Return the text of a file of the state, or None if there is none.

    `remedy` is a sentence that says what to do if the file is damaged. Raises StateError.
    """
    with state_errors(settings):
        try:
            return files.as_text(files.read(str(path)))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise damaged(path, error, remedy) from None


def damaged(path: Path, reason: object, remedy: str) -> StateError:
    """Return the error that a file of the state is damaged, with the reason and what to do."""
    return StateError(f"{path} is damaged: {reason}. {remedy}")
