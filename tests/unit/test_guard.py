"""The guard of tests/unit/conftest.py."""

import os
import subprocess
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    "start",
    [
        lambda: subprocess.run(["true"], check=False),
        lambda: os.system("true"),  # noqa: S605
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        os.fork,
        lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
    ],
    ids=["subprocess", "system", "posix_spawn", "fork", "exec"],
)
def test_a_unit_test_can_not_start_a_process(start: Callable[[], object], attempts: list[str]) -> None:
    """Each way to start a process raises an error, and is remembered so that a test that hides the error fails."""
    with pytest.raises(RuntimeError, match="a unit test starts a process"):
        start()
    assert len(attempts) == 1
    attempts.clear()
