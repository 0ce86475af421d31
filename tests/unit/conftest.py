"""A guard: no unit test starts a process. A test that needs one belongs in tests/integration."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

STARTING_EVENTS = {
    *("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system"),
}

# The attempts of the test that runs now. Python can't take an audit hook out again, so outside of unit tests this is
# empty, and the hook does nothing.
_watched: list[list[str]] = []


def _refuse_processes(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event in STARTING_EVENTS:
        _watched[-1].append(f"{event}{arguments[:2]}")
        raise RuntimeError(f"a unit test starts a process: {event}{arguments[:2]}")


sys.addaudithook(_refuse_processes)


@pytest.fixture(autouse=True)
def attempts() -> Iterator[list[str]]:
    """The test's attempts to start a process. They raise RuntimeError, and fail the test even where that is caught."""
    made: list[str] = []
    _watched.append(made)
    yield made
    _watched.remove(made)
    assert not made
