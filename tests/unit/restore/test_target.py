"""The primary's directory as a restore writes into it: real directories and files."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heldar_mirror.errors import DirectoryError, ExistsError, GoneError, RestoreError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.target import TEMPORARY, Target

BEGUN = 1_700_000_000
LATER = BEGUN + 60
FRESH = 2_000_000_000.0

Open = Callable[..., Target]


def no_progress() -> None:
    pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The primary's recordings, with one segment of one camera, which begins later than what is restored."""
    directory = tmp_path / "recordings/gate"
    directory.mkdir(parents=True)
    (directory / segment_name(LATER)).write_bytes(b"Heldar's own")
    return directory.parent


@pytest.fixture
def opened(root: Path) -> Iterator[Open]:
    """Opens a target, and closes it at the end."""
    made: list[Target] = []

    def open_target(path: Path = root, *, into_empty: bool = False) -> Target:
        made.append(Target(path, no_progress, into_empty=into_empty))
        return made[-1]

    yield open_target
    for each in made:
        each.close()


def write(target: Target, begun: int = BEGUN, camera_id: str = "gate", content: bytes = b"restored") -> float:
    with target.draft(camera_id, begun) as draft:
        os.write(draft.fd, content)
        return draft.finish(FRESH)


def test_a_new_file(root: Path, opened: Open) -> None:
    """It is there under its name alone, and fresh for as long as it should be. The other one is as it was."""
    assert write(opened()) == FRESH
    path = root / "gate" / segment_name(BEGUN)
    assert path.read_bytes() == b"restored"
    assert (path.stat().st_mtime, path.stat().st_nlink) == (FRESH, 1)
    assert sorted(os.listdir(root / "gate")) == sorted([segment_name(BEGUN), segment_name(LATER)])
    assert (root / "gate" / segment_name(LATER)).read_bytes() == b"Heldar's own"


def test_nothing_is_seen_before_it_is_finished(root: Path, opened: Open) -> None:
    """The file has a name that nobody takes for a recording. Without an end nothing stays, nor after an error."""
    target = opened()
    with target.draft("gate", BEGUN) as draft:
        os.write(draft.fd, b"half")
        assert sorted(os.listdir(root / "gate")) == [TEMPORARY, segment_name(LATER)]
    assert not TEMPORARY.endswith((".mp4", ".part"))
    with pytest.raises(ZeroDivisionError), target.draft("gate", BEGUN):
        raise ZeroDivisionError
    assert os.listdir(root / "gate") == [segment_name(LATER)]


@pytest.mark.parametrize("begun", [LATER + 1, LATER + 1000])
def test_the_last_file_of_a_directory(root: Path, opened: Open, begun: int) -> None:
    """It gets the present time, since Heldar waits for some time after its last write. Odd names don't count."""
    (root / "gate/zzz.mp4").touch()
    (root / "gate" / f"{segment_name(begun + 1)}.x").touch()
    (root / "gate" / segment_name(begun + 2)).mkdir()
    before = time.time()
    modified = write(opened(), begun)
    assert before <= modified <= time.time()
    assert (root / "gate" / segment_name(begun)).stat().st_mtime == pytest.approx(modified, abs=0.001)


def make_file(path: Path) -> None:
    path.write_bytes(b"Heldar's own")


def make_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [make_file, make_link, Path.mkdir, os.mkfifo])
@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken(
    root: Path, opened: Open, make: Callable[[Path], None], links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has it, before or while the file is written, stays as it is."""
    if not links:
        refuse_links(monkeypatch)
    target = opened()
    for begun, early in ((BEGUN, True), (BEGUN + 1, False)):
        path = root / "gate" / segment_name(begun)
        if early:
            make(path)
            before = path.lstat()
        with pytest.raises(ExistsError, match=f"the primary has {path} by now: it is left"):  # noqa: PT012, SIM117
            with target.draft("gate", begun) as draft:
                assert not early
                make(path)
                before = path.lstat()
                draft.finish(FRESH)
        assert path.lstat() == before
    assert TEMPORARY not in os.listdir(root / "gate")


def refuse_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no links, as on exFAT."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


def test_a_file_system_without_links(root: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is renamed then, in a way that replaces nothing."""
    refuse_links(monkeypatch)
    write(opened())
    assert sorted(os.listdir(root / "gate")) == sorted([segment_name(BEGUN), segment_name(LATER)])


def test_what_heldar_fetches_from_the_camera(root: Path, opened: Open) -> None:
    """Its rename would replace ours, so it is left to that."""
    (root / "gate" / f"{segment_name(BEGUN)}.part").touch()
    with pytest.raises(ExistsError, match=r"Heldar fetches .*\.mp4 from the camera itself"):
        write(opened())


def test_leftovers(root: Path, opened: Open) -> None:
    """What a killed restore left is removed, of all cameras at once and also later."""
    (root / "yard").mkdir()
    for camera_id in ("gate", "yard"):
        (root / camera_id / TEMPORARY).write_bytes(b"half")
    (root / "elsewhere").symlink_to("gate")
    target = opened()
    assert not list(root.rglob(TEMPORARY))
    (root / "gate" / TEMPORARY).write_bytes(b"half")
    write(target)
    assert not list(root.rglob(TEMPORARY))


def test_one_restore_at_a_time(root: Path, opened: Open) -> None:
    """The second one touches nothing, so also not what the first one is writing."""
    first = opened()
    with first.draft("gate", BEGUN) as draft:
        with pytest.raises(RestoreError, match=f"another restore writes to {root}: wait"):
            opened()
        draft.finish(FRESH)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_its_mode(root: Path, opened: Open, mode: int) -> None:
    """It is that of the newest file, also if a umask would not have it so."""
    (root / "gate" / segment_name(LATER)).chmod(mode)
    umask = os.umask(0o077)
    try:
        write(opened())
    finally:
        os.umask(umask)
    assert stat.S_IMODE((root / "gate" / segment_name(BEGUN)).stat().st_mode) == mode


def test_a_camera_without_a_directory(root: Path, opened: Open) -> None:
    """It gets one like that of a different camera, and files like its."""
    (root / "gate").chmod(0o2750)
    (root / "gate" / segment_name(LATER)).chmod(0o604)
    write(opened(), camera_id="yard")
    assert stat.S_IMODE((root / "yard").stat().st_mode) == 0o2750
    assert stat.S_IMODE((root / "yard" / segment_name(BEGUN)).stat().st_mode) == 0o604


def test_a_new_disk(tmp_path: Path, opened: Open) -> None:
    """It looks like a volume that is not mounted, so it has to be asked for."""
    (tmp_path / "new/lost+found").mkdir(parents=True)
    with pytest.raises(RestoreError, match=f"the primary's {tmp_path}/new holds no camera: is its volume mounted"):
        opened(tmp_path / "new")
    umask = os.umask(0o027)
    try:
        write(opened(tmp_path / "new", into_empty=True))
    finally:
        os.umask(umask)
    made = tmp_path / "new/gate"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made, made / segment_name(BEGUN))] == [0o750, 0o640]


def test_a_volume_that_goes_meanwhile(root: Path, opened: Open) -> None:
    """Nothing is written to what lies at its place then."""
    target = opened()
    write(target)
    root.rename(root.with_name("away"))
    with pytest.raises(RestoreError, match="is not what it was when this began"):
        write(target, BEGUN + 1)
    (root / "gate").mkdir(parents=True)
    for act in (lambda: write(target, BEGUN + 1), lambda: target.touch("gate", BEGUN, FRESH)):
        with pytest.raises(RestoreError, match="is not what it was when this began"):
            act()
    assert not os.listdir(root / "gate")


def test_no_directory(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(RestoreError, match=f"cannot write the primary's {tmp_path}/none: No such file"):
        opened(tmp_path / "none", into_empty=True)
    (tmp_path / "file").touch()
    with pytest.raises(RestoreError, match="Not a directory"):
        opened(tmp_path / "file", into_empty=True)


def test_links(root: Path, opened: Open) -> None:
    """The primary's directory may be a link. A camera's directory may not: it could lead anywhere."""
    link = root.with_name("link")
    link.symlink_to(root)
    target = opened(link)
    write(target)
    (root / "elsewhere").mkdir()
    (root / "yard").symlink_to("elsewhere")
    (root / "wall").touch()
    for camera_id in ("yard", "wall"):
        with pytest.raises(DirectoryError, match=f"{camera_id}/.*: its directory is a file, or a link, which is not"):
            write(target, camera_id=camera_id)
    with pytest.raises(DirectoryError, match="no camera is called so"):
        write(target, camera_id="../gate")
    assert not os.listdir(root / "elsewhere")


def test_touching(root: Path, opened: Open) -> None:
    """A file is kept fresh by it, and none is made."""
    target = opened()
    target.touch("gate", LATER, FRESH)
    assert (root / "gate" / segment_name(LATER)).stat().st_mtime == FRESH
    for camera_id in ("gate", "yard"):
        with pytest.raises(GoneError, match=f"the primary's recording {root}/{camera_id}/.*.mp4 is not there any more"):
            target.touch(camera_id, BEGUN, FRESH)
    assert os.listdir(root) == ["gate"]
    assert os.listdir(root / "gate") == [segment_name(LATER)]
    (root / "gate" / segment_name(BEGUN)).symlink_to(segment_name(LATER))
    with pytest.raises(DirectoryError, match="expected a plain file"):
        target.touch("gate", BEGUN, FRESH - 1)
    assert (root / "gate" / segment_name(LATER)).stat().st_mtime == FRESH
