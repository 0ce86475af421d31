"""Listing, sealing and expiring, on real directories. Times are given."""

import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.manifests import DAY, NOON, Root, made_root

from heldar_mirror.manifests import store as store_module
from heldar_mirror.manifests.form import Link, SealedName, day_begins, day_of, parse_sealed, render_sums, sha256
from heldar_mirror.manifests.reading import camera_ids, listed
from heldar_mirror.manifests.store import SEAL_AFTER_SECONDS, BusyError, expired, is_over

TODAY = day_of(NOON)
TOMORROW = day_of(NOON + DAY)
SEALED_AT = day_begins(TOMORROW) + SEAL_AFTER_SECONDS


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with made_root(tmp_path) as made:
        yield made


def sealed(root: Root, name: str) -> Any:
    """The heading and the times of a sealed manifest."""
    heading, sums = parse_sealed((root.manifests() / name).read_bytes())
    return heading, list(sums.begun)


def test_segments_are_listed_by_day(root: Root) -> None:
    """Each is listed in the open manifest of its day."""
    sums = root.put(NOON, NOON + 60, NOON + DAY)
    with root.store() as store:
        store.append("gate", sums, NOON)
    assert root.names() == [f"{TODAY}.open", f"{TOMORROW}.open"]
    assert (root.manifests() / f"{TODAY}.open").read_bytes() == render_sums("gate", sums[:2])
    assert list(listed(root.fd, "gate", NOON)) == [NOON, NOON + 60, NOON + DAY]
    assert camera_ids(root.fd) == ["gate"]


def test_a_day_is_sealed_some_time_after_its_end(root: Root) -> None:
    """Not before, so that what is closed or found late gets in. The lines are in the order of the names then."""
    with root.store() as store:
        store.append("gate", root.put(NOON + 60), NOON)
        store.append("gate", root.put(NOON), NOON)
        assert store.seal("gate", SEALED_AT - 1, None) == []
        assert store.seal("gate", SEALED_AT, None) == [f"000001_{TODAY}.SHA256SUMS"]
        assert store.seal("gate", SEALED_AT, None) == []
    assert root.names() == [f"000001_{TODAY}.SHA256SUMS"]
    heading, begun = sealed(root, f"000001_{TODAY}.SHA256SUMS")
    assert (heading.previous, heading.sealed, begun) == (None, SEALED_AT, [NOON, NOON + 60])
    assert list(listed(root.fd, "gate", NOON)) == [NOON, NOON + 60]


def test_each_manifest_names_the_one_before(root: Root) -> None:
    """So the newest one proves all of them. Each camera has a chain of its own."""
    with root.store() as store:
        for number in range(3):
            store.append("gate", root.put(NOON + number * DAY), NOON)
            store.append("yard", root.put(NOON + number * DAY, camera_id="yard"), NOON)
        store.seal("gate", SEALED_AT + 3 * DAY, None)
    names = root.names()
    assert len(names) == 3
    for before, name in itertools.pairwise(names):
        link = Link(before, sha256((root.manifests() / before).read_bytes()))
        assert sealed(root, name)[0].previous == link
    assert root.names("yard") == [f"{day_of(NOON + number * DAY)}.open" for number in range(3)]


def test_what_is_found_late_goes_into_the_manifest_of_today(root: Root) -> None:
    """A sealed manifest is never touched again."""
    with root.store() as store:
        store.append("gate", root.put(NOON), NOON)
        store.seal("gate", SEALED_AT, None)
        before = (root.manifests() / root.names()[0]).read_bytes()
        store.append("gate", root.put(NOON + 60), SEALED_AT)
    assert root.names() == [f"000001_{TODAY}.SHA256SUMS", f"{TOMORROW}.open"]
    assert (root.manifests() / root.names()[0]).read_bytes() == before
    assert list(listed(root.fd, "gate", NOON)) == [NOON, NOON + 60]
    assert list(listed(root.fd, "gate", NOON + DAY)) == [NOON + 60]


def test_a_clock_that_is_set_back_to_a_sealed_day_opens_it_again(root: Root) -> None:
    """That day then has two manifests, which follow on each other."""
    with root.store() as store:
        store.append("gate", root.put(NOON), NOON)
        store.seal("gate", SEALED_AT, None)
        store.append("gate", root.put(NOON + 60), NOON + 60)
        store.append("gate", root.put(NOON + 120), NOON + 120)
        store.seal("gate", SEALED_AT, None)
    assert root.names() == [f"000001_{TODAY}.SHA256SUMS", f"000002_{TODAY}.SHA256SUMS"]
    assert sealed(root, root.names()[1])[1] == [NOON + 60, NOON + 120]


def test_a_day_that_a_wrong_clock_has_named_is_sealed_when_the_clock_is_right(root: Root) -> None:
    """Otherwise it would stay open for years."""
    with root.store() as store:
        store.append("gate", root.put(NOON + 3000 * DAY), NOON + 3000 * DAY)
        store.append("gate", root.put(NOON), NOON)
        assert store.seal("gate", NOON, None) == [f"000001_{day_of(NOON + 3000 * DAY)}.SHA256SUMS"]
    assert is_over(TODAY, NOON - 2 * DAY)
    assert not is_over(TOMORROW, NOON)


@pytest.mark.parametrize("torn", [b"a", b"ab" * 32, b"ab" * 32 + b"  gate/20261129_120000.mp4", bytes(4096), b"\0\n\0"])
def test_a_torn_line_is_removed_before_the_next_one(root: Root, torn: bytes) -> None:
    """What a crash leaves of a line is neither read nor continued, and never sealed."""
    with root.store() as store:
        store.append("gate", root.put(NOON), NOON)
        path = root.manifests() / f"{TODAY}.open"
        with path.open("ab") as file:
            file.write(torn)
        assert list(listed(root.fd, "gate", NOON)) == [NOON]
        store.append("gate", root.put(NOON + 60), NOON)
        store.seal("gate", SEALED_AT, None)
    content = (root.manifests() / root.names()[0]).read_bytes()
    assert parse_sealed(content)[1].begun.tolist() == [NOON, NOON + 60]


def test_a_manifest_with_nothing_but_a_torn_line_is_removed(root: Root) -> None:
    """It lists nothing, so there is nothing to seal."""
    with root.store() as store:
        store.append("gate", root.put(NOON), NOON)
        (root.manifests() / f"{TODAY}.open").write_bytes(b"torn")
        assert store.seal("gate", SEALED_AT, None) == []
    assert root.names() == []


def test_a_write_that_finds_no_room_leaves_no_part_of_a_line(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of before stay, and the next attempt adds all."""
    write = os.write
    with root.store() as store:
        store.append("gate", root.put(NOON), NOON)
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:50]))
        with pytest.raises(OSError, match="No space left") as caught:
            store.append("gate", root.put(NOON + 60), NOON)
        assert caught.value.errno == errno.ENOSPC
        monkeypatch.undo()
        assert (root.manifests() / f"{TODAY}.open").read_bytes() == render_sums("gate", root.put(NOON))


def test_a_large_manifest_is_sealed_early(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """So each can be read as a whole. More of that day goes into the manifest of today."""
    monkeypatch.setattr(store_module, "FULL_BYTES", 200)
    monkeypatch.setattr(store_module, "LINES_AT_ONCE", 2)
    with root.store() as store:
        store.append("gate", root.put(*range(NOON, NOON + 10)), NOON)
    assert root.names()[:3] == [f"{number:06}_{TODAY}.SHA256SUMS" for number in (1, 2)] + [f"{TODAY}.open"]
    assert list(listed(root.fd, "gate", NOON)) == list(range(NOON, NOON + 10))


def test_modes_are_as_the_umask_says(root: Root) -> None:
    """Whoever may see the footage may read its manifests; nobody may write to a sealed one."""
    with root.store() as store:
        store.append("gate", root.put(NOON, NOON + DAY), NOON)
        store.seal("gate", SEALED_AT, lambda _: b"signature")

    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o7777

    assert mode(root.manifests()) == mode(root.manifests().parent) == 0o750
    assert {name: mode(root.manifests() / name) for name in root.names()} == {
        f"000001_{TODAY}.SHA256SUMS": 0o440,
        f"000001_{TODAY}.SHA256SUMS.sig": 0o440,
        f"{TOMORROW}.open": 0o640,
    }
    assert mode(root.manifests().parent / ".heldar-mirror.lock") == 0o600


def test_the_newest_manifest_is_signed_later_if_there_was_no_key(root: Root) -> None:
    """By its links it covers those before, so they need no signature of their own."""
    with root.store() as store:
        store.append("gate", root.put(NOON, NOON + DAY), NOON)
        store.seal("gate", SEALED_AT + DAY, None)
        assert not [name for name in root.names() if name.endswith(".sig")]
        for _ in range(2):
            store.seal("gate", SEALED_AT + DAY, sha256)
    newest = root.manifests() / f"000002_{TOMORROW}.SHA256SUMS"
    assert [name for name in root.names() if name.endswith(".sig")] == [f"{newest.name}.sig"]
    assert newest.with_name(f"{newest.name}.sig").read_bytes() == sha256(newest.read_bytes())


def test_one_process_writes_at_a_time(root: Root) -> None:
    """A second one is told who holds the lock."""
    with root.store(), pytest.raises(BusyError, match="another process"), root.store():
        pass
    with root.store():
        pass


@pytest.mark.parametrize("at", ["", "gate", f"gate/{TODAY}.open"])
def test_no_link_is_followed(root: Root, tmp_path_factory: pytest.TempPathFactory, at: str) -> None:
    """Whoever can write to the volume can't have a manifest written elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").write_bytes(b"theirs\n")
    place = root.path / ".manifests" / at
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere / "file" if at.endswith("open") else elsewhere)
    with pytest.raises(OSError, match=r"Not a directory|symbolic|plain file"), root.store() as store:
        store.append("gate", root.put(NOON), NOON)
    assert [path.read_bytes() for path in elsewhere.iterdir()] == [b"theirs\n"]


@pytest.mark.parametrize("kind", ["directory", "FIFO", "link", "huge"])
@pytest.mark.parametrize("name", [f"{TODAY}.open", f"000001_{day_of(NOON - DAY)}.SHA256SUMS"])
def test_what_is_no_manifest_in_the_place_of_one_is_named(root: Root, name: str, kind: str) -> None:
    """It is neither waited for nor read without end, no other camera suffers, and nothing that lay there is lost."""
    place = root.manifests() / name
    place.parent.mkdir(parents=True)
    if kind == "directory":
        place.mkdir()
    elif kind == "FIFO":
        os.mkfifo(place)
    elif kind == "link":
        place.symlink_to(root.path)
    else:
        with place.open("xb") as file:
            file.truncate(65 << 20)
    with root.store() as store:
        with pytest.raises(OSError, match="expected") as caught:  # noqa: PT012 - which of both fails depends on the place
            store.append("gate", root.put(NOON), NOON)
            store.seal("gate", SEALED_AT, None)
        assert caught.value.filename == f".manifests/gate/{name}"
        store.append("yard", root.put(NOON, camera_id="yard"), NOON)
        assert store.seal("yard", SEALED_AT, None) == [f"000001_{TODAY}.SHA256SUMS"]
    assert name in root.names()


def test_other_files_among_the_manifests_are_left_alone(root: Root) -> None:
    """They are neither read nor removed."""
    with root.store() as store:
        store.append("gate", root.put(NOON), NOON)
        (root.manifests() / "notes.txt").write_text("mine")
        (root.manifests() / "000009_2026-13-01.SHA256SUMS").mkdir()
        assert store.seal("gate", SEALED_AT, None) == [f"000001_{TODAY}.SHA256SUMS"]
        store.expire("gate", SEALED_AT, SEALED_AT, is_gone=True)
    assert root.names() == ["000009_2026-13-01.SHA256SUMS", "notes.txt"]


def names(*days: int) -> list[SealedName]:
    """Sealed manifests of days from a first one on."""
    return [SealedName(number, day_of(NOON + day * DAY)) for number, day in enumerate(days, 1)]


@pytest.mark.parametrize(
    ("days", "count"),
    [
        ((), 0),
        ((1, 2, 3, 4), 2),
        ((3, 4), 0),
        ((3, 1, 4), 0),  # the oldest one stays, so those after it stay as well
        ((2000, 1, 2, 3), 3),  # named by a clock that was wrong
        ((1, 2000, 2, 3), 3),
        ((1, 2000, 3), 1),
        ((2000,), 0),
    ],
)
def test_the_oldest_manifests_expire_first(days: tuple[int, ...], count: int) -> None:
    """What is left is a chain without a missing link."""
    sealed = names(*days)
    assert expired(sealed, day_begins(day_of(NOON + 3 * DAY)), NOON + 10 * DAY) == sealed[:count]


def test_expired_manifests_are_removed_with_their_signatures(root: Root) -> None:
    """The newest stays, so that the next one can name it, unless the camera is gone; then nothing is left."""
    end = SEALED_AT + 2 * DAY
    with root.store() as store:
        store.append("gate", root.put(NOON, NOON + DAY, NOON + 2 * DAY), NOON)
        store.seal("gate", end, sha256)
        assert store.expire("gate", day_begins(TOMORROW) - 1, end, is_gone=False) == []
        assert store.expire("gate", day_begins(TOMORROW), end, is_gone=False) == [f"000001_{TODAY}.SHA256SUMS"]
        assert len(root.names()) == 4
        assert len(store.expire("gate", end, end, is_gone=False)) == 1
        newest = f"000003_{day_of(NOON + 2 * DAY)}.SHA256SUMS"
        assert root.names() == [newest, f"{newest}.sig"]
        assert store.expire("gate", end, end, is_gone=True) == [newest]
        assert not root.manifests().exists()
        assert store.expire("gate", end, end, is_gone=True) == []
        assert store.seal("gate", end, None) == []
    assert list(listed(root.fd, "gate", NOON)) == []
