"""Whoever writes manifests may be killed at any step: what was listed stays, and the next run completes the rest."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.killed_in_fork import is_killed_at
from support.listing import Listed
from support.manifests import DAY, NOON, Root, made_root

from heldar_mirror.footage.names import segment_name
from heldar_mirror.manifests.check import Chain, check_chain
from heldar_mirror.manifests.form import DIRECTORY, day_of
from heldar_mirror.manifests.signature import is_signed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
END = NOON + 4 * DAY

# Of a day that is over, and of so near a time that its day is not.
NOW = int(time.time()) // 60 * 60
OLD = [NOW - 3 * DAY + second for second in (0, 2, 4)]
RECENT = [NOW - 3600, NOW - 3540]
CLOSED, OPEN = NOW - 3480, NOW - 3420


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with made_root(tmp_path) as made:
        yield made


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
    return check_chain("gate", root.read(), 0, partial(is_signed, key=KEY.public_key()))


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


def happen(listed: Listed) -> None:
    """A camera has segments of a day that is over and of today, and one is closed while they are listed."""
    listed.put(*OLD, *RECENT)
    listed.lister.turn()
    listed.put(CLOSED)
    listed.run()


def kinds(listed: Listed) -> set[str]:
    """What kinds of files there are in a camera's manifests."""
    return {path.name.partition(".")[2] for path in (listed.root / DIRECTORY / "gate").iterdir()}


@pytest.mark.parametrize("torn", [False, True])
def test_who_lists_segments_may_be_killed_at_any_step(tmp_path: Path, *, torn: bool) -> None:
    """The next one lists what is missing, each segment once, and never one that is open."""
    for step in count(1):
        (tmp_path / str(step)).mkdir()
        listed = Listed(tmp_path / str(step))
        with listed.recording(OPEN):
            killed = is_killed_at(step, partial(happen, listed), torn=torn)
            listed.lister.lookout.closings.close()
            listed.begin()
            listed.run()
            assert listed.listed() == sorted(
                map(segment_name, [*OLD, *RECENT, CLOSED] if not killed else there(listed))
            )
        listed.run()
        assert listed.listed() == sorted(map(segment_name, [*there(listed), OPEN]))
        assert kinds(listed) == {"SHA256SUMS", "open"}
        listed.lister.lookout.closings.close()
        if not killed:
            break
    assert step > 10


def there(listed: Listed) -> set[int]:
    """The segments that were put there before the kill."""
    return {begun for begun in [*OLD, *RECENT, CLOSED] if (listed.camera() / segment_name(begun)).exists()}
