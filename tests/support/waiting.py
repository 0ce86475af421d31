"""Waiting for a condition, and finding the processes of a test."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def wait_for(condition: Callable[[], Any], seconds: float = 30, every: float = 0.1) -> Any:
    """Return what `condition` returns as soon as it is true; fail the test if that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not true within {seconds} s: {condition}")
        time.sleep(every)
    return result


def processes_of(marker: str) -> dict[int, str]:
    """Return the running processes whose command line holds `marker`, such as a test's own directory."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if marker in command and int(entry.name) != os.getpid():
                    found[int(entry.name)] = command
    return found


def wait_for_none(marker: str, seconds: float = 15) -> dict[int, str]:
    """Wait until no process of a test is left; kill, and return, those that stay longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(marker)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
