"""Waiting for a condition, and finding the processes of a test."""

import contextlib
import functools
import inspect
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest

# A wait ends as soon as its condition holds, so a long limit costs nothing, and a busy machine needs it.
PATIENCE_SECONDS = 180

# A single command must end within this time. It is longer than what the command itself may wait for.
COMMAND_SECONDS = 300


@runtime_checkable
class Describable(Protocol):
    """Something that can describe its present state to a person who reads why a test failed, such as a mirror."""

    def describe_state(self) -> str: ...


def wait_for(
    condition: Callable[[], Any],
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.1,
    seen: Callable[[], object] | None = None,
) -> Any:
    """Return what `condition` returns as soon as that is true. Fail the test if this takes longer than `seconds`.

    The failure shows the source and the last value of the condition, what `seen` returns, and the state of each
    `Describable` that the condition refers to.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            pytest.fail("\n".join(_what_was_seen(condition, result, seconds, seen)))
        time.sleep(every)
    return result


def _what_was_seen(
    condition: Callable[[], Any], result: object, seconds: float, seen: Callable[[], object] | None
) -> Iterator[str]:
    yield f"not true within {seconds} s: {_source(condition)}"
    yield f"its last value: {result!r}"
    if seen:
        yield f"seen: {seen()}"
    described: list[object] = []
    for value in _referred_to(condition):
        if isinstance(value, Describable) and not any(value is other for other in described):
            described.append(value)
            yield value.describe_state()


def _source(condition: Callable[[], Any]) -> str:
    """Return the source of a function of the tests, and a representation of any other condition."""
    function = condition.func if isinstance(condition, functools.partial) else condition
    if inspect.isfunction(function):
        with contextlib.suppress(OSError):
            return f"{Path(function.__code__.co_filename).name}: {inspect.getsource(function).strip()}"
    return repr(condition)


def _referred_to(condition: object, depth: int = 4) -> Iterator[object]:
    """Yield what a condition was made with: bound arguments, defaults and variables of the function around it."""
    yield condition
    if depth == 0:
        return
    parts: list[object] = []
    if isinstance(condition, functools.partial):
        parts += [condition.func, *condition.args, *condition.keywords.values()]
    elif inspect.ismethod(condition):
        parts += [condition.__self__]
    elif inspect.isfunction(condition):
        parts += condition.__defaults__ or ()
        with contextlib.suppress(ValueError):  # a variable that is not assigned yet
            parts += inspect.getclosurevars(condition).nonlocals.values()
    for part in parts:
        yield from _referred_to(part, depth - 1)


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


def wait_for_none(marker: str, seconds: float = PATIENCE_SECONDS) -> dict[int, str]:
    """Wait until `processes_of(marker)` finds none. Print, kill and return those that are left after `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(marker)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid, command in left.items():
        print(f"still running after {seconds} s: {pid} {command}: {_doing(pid)}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def kill_processes_of(marker: str) -> None:
    """Kill all processes whose command line holds `marker`."""
    for pid in processes_of(marker):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _doing(pid: int) -> str:
    """Return a process's state and the function of Linux that it waits in, as far as these can be read."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        state = next(line for line in lines if line.startswith("State:"))
        return f"{state} {Path(f'/proc/{pid}/wchan').read_text()}"
    return "it has ended"
