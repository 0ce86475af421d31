"""Whoever writes manifests may be killed at any step: what was listed stays, and the next run completes the rest."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.manifests import DAY, NOON, Root, made_root

from heldar_mirror.manifests.check import Chain, check_chain
from heldar_mirror.manifests.form import day_of
from heldar_mirror.manifests.reading import read_all_of
from heldar_mirror.manifests.signature import is_signed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
END = NOON + 4 * DAY

# The calls that change something on the volume.
STEPS = ("open", "mkdir", "write", "ftruncate", "fchmod", "fsync", "rename", "unlink", "rmdir")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with made_root(tmp_path) as made:
        yield made


def is_killed_at(step: int, work: Callable[[], None], *, torn: bool) -> bool:
    """Do some work in a process that is killed just before one of its steps, counted from 1.

    If it is `torn`, half of a write is done. Return False if the work was done in fewer steps.
    """
    child = os.fork()
    if not child:
        try:
            _kill_at(step, torn=torn)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _kill_at(step: int, *, torn: bool) -> None:
    taken = count(1)

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if (name != "open" or args[1] & os.O_CREAT) and next(taken) == step:
                if torn and name == "write":
                    function(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, wrap(name, getattr(os, name)))


def begin(root: Root) -> None:
    """A sealed day, and an open one with a torn line."""
    with root.store() as store:
        store.append("gate", root.put(NOON, NOON + DAY), NOON)
        store.seal("gate", NOON + DAY + DAY // 2, KEY.sign)
    with (root.manifests() / f"{day_of(NOON + DAY)}.open").open("ab") as file:
        file.write(b"torn")


def work(root: Root) -> None:
    """Two open days get more lines and are sealed, a third one is begun, and the oldest expires."""
    known = set(check(root).listed.begun)
    times = [NOON + 60, NOON + DAY + 60, NOON + 2 * DAY, NOON + 4 * DAY]
    with root.store() as store:
        store.append("gate", root.put(*(time for time in times if time not in known)), END)
        store.seal("gate", END, KEY.sign)
        store.expire("gate", NOON + DAY, END, is_gone=False)


def check(root: Root) -> Chain:
    return check_chain("gate", read_all_of(root.fd, "gate"), 0, partial(is_signed, key=KEY.public_key()))


@pytest.mark.parametrize("torn", [False, True])
def test_a_kill_at_any_step_is_made_good_by_the_next_run(tmp_path: Path, *, torn: bool) -> None:
    """After each kill the chain is whole, and nothing that was listed is lost. After the next run all is as if nobody
    had been killed: the same segments in manifests of the same days, and nothing is left over."""
    results = set()
    for step in count(1):
        path = tmp_path / str(step)
        path.mkdir()
        with made_root(path) as root:
            begin(root)
            killed = is_killed_at(step, partial(work, root), torn=torn)
            chain = check(root)
            assert (chain.findings, chain.unreadable) == ([], [])
            assert NOON + DAY in chain.listed.begun
            work(root)
            chain = check(root)
            assert (chain.findings, chain.unreadable) == ([], [])
            assert list(chain.listed.begun) == [NOON + 60, NOON + DAY, NOON + DAY + 60, NOON + 2 * DAY, END]
            results.add(tuple(root.names()))
        if not killed:
            break
    assert step > 25
    sealed = [f"{number:06}_{day_of(NOON + days * DAY)}.SHA256SUMS" for number, days in ((2, 1), (3, 2))]
    assert results == {tuple(sorted([f"{day_of(END)}.open", *sealed, *(f"{name}.sig" for name in sealed)]))}


def test_a_kill_at_any_step_of_the_very_first_run_is_made_good(tmp_path: Path) -> None:
    """When there is no directory of manifests yet."""
    for step in count(1):
        path = tmp_path / str(step)
        path.mkdir()
        with made_root(path) as root:

            def first(root: Root = root) -> None:
                with root.store() as store:
                    store.append("gate", root.put(NOON), NOON)
                    store.seal("gate", END, None)

            killed = is_killed_at(step, first, torn=False)
            first()
            assert root.names()[0] == f"000001_{day_of(NOON)}.SHA256SUMS"
            assert list(check(root).listed.begun) == [NOON]
        if not killed:
            break
    assert step > 8
