"""Reading the files of the state."""

from pathlib import Path
from typing import Any

from heldar_mirror.errors import StateError
from heldar_mirror.recorder import files
from heldar_mirror.state.directory import StateSettings, state_errors

# No number that a file of the state holds is larger, apart from times without an end.
MAX_NUMBER = 1 << 62


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


def checked(value: Any, *kinds: type, most: float = MAX_NUMBER) -> Any:
    """Return a value of JSON that is of one of these kinds. Raises TypeError for any other, for a number beyond `most`,
    and for one that is none.

    A bool is no number. A float may be a whole number.
    """
    is_whole = type(value) is int
    if type(value) not in kinds and not (is_whole and float in kinds):
        raise TypeError(f"{ascii(value)[:40]} is none of {', '.join(kind.__name__ for kind in kinds)}")
    if (is_whole or type(value) is float) and not abs(value) <= most:
        raise TypeError(f"{ascii(value)[:40]} is no number that was written")
    return value
