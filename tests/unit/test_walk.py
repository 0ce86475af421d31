"""Opening a directory step by step."""

import os
from pathlib import Path

import pytest

from heldar_mirror.walk import MAX_LINKS, open_directory


def opened(path: Path, mode: int | None = None, *, last_link: bool = True) -> Path:
    """Return where an opened directory really is."""
    fd = open_directory(path, mode, last_link=last_link)
    try:
        return Path(f"/proc/self/fd/{fd}").readlink()
    finally:
        os.close(fd)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with others and links in it."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name, target in {
        "relative": "a/b",
        "absolute": str(tmp_path / "a"),
        "twice": "absolute/b/../b",
        "dangling": "a/new",
        "loop": "loop",
        "to_file": "file",
    }.items():
        (tmp_path / name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("a/b", "a/b"),
        ("a/../a/b", "a/b"),
        ("relative", "a/b"),
        ("absolute/b", "a/b"),
        ("twice", "a/b"),
        ("twice/..", "a"),
        (".", "."),
    ],
)
def test_it_leads_where_linux_would_go(here: Path, path: str, real: str) -> None:
    """Links and `..` are followed as Linux does it."""
    assert opened(here / path) == here / real
    assert opened(Path("/")) == Path("/")


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("path", ["x/y/z", "absolute/x/y/z", "dangling/x"])
def test_what_is_missing_is_made(here: Path, path: str, umask: int) -> None:
    """The last one has the mode that is asked for, its parents 0755, whatever the umask is. What is there stays."""
    before = os.umask(umask)
    try:
        made = opened(here / path, 0o711)
        (here / "a").chmod(0o700)
        assert opened(here / "a", 0o711) == here / "a"
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o711
    assert made.parent.stat().st_mode & 0o777 == 0o755
    assert (here / "a").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["gone", "a/gone/b", "file", "file/b", "loop", "to_file", "dangling"])
def test_what_can_not_be_opened_is_named(here: Path, path: str) -> None:
    """The error is about a path on the way, and nothing stays open."""
    before = len(os.listdir("/proc/self/fd"))
    for mode in (None, 0o700) if path not in {"gone", "a/gone/b", "dangling"} else (None,):
        with pytest.raises((FileNotFoundError, NotADirectoryError), match=f"'{here}/"):
            open_directory(here / path, mode)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("path", ["relative", "dangling"])
def test_a_link_in_the_last_place_may_be_refused(here: Path, path: str) -> None:
    """For the state's directories it is."""
    with pytest.raises(NotADirectoryError):
        opened(here / path, 0o700, last_link=False)
    assert opened(here / "absolute/b", last_link=False) == here / "a/b"
    assert not (here / "a/new").exists()


def test_as_many_links_are_followed_as_linux_follows(here: Path) -> None:
    """One more is a loop."""
    (here / "0").symlink_to("a")
    for number in range(1, MAX_LINKS + 1):
        (here / str(number)).symlink_to(str(number - 1))
    assert opened(here / str(MAX_LINKS - 1)) == here / "a"
    with pytest.raises(NotADirectoryError):
        opened(here / str(MAX_LINKS))
