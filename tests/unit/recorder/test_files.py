"""Opening files: only plain ones, of a bounded size."""

import os
from pathlib import Path

import pytest
from support.no_plain_files import NO_PLAIN_FILES

from heldar_mirror.recorder.files import MAX_BYTES, NotPlainError, as_text, open_plain, read


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC])
@pytest.mark.parametrize("kind", NO_PLAIN_FILES)
def test_what_is_no_plain_file_is_not_opened(kind: str, flags: int, tmp_path: Path) -> None:
    """It is not waited for, its error names it and what to do, and no descriptor stays open."""
    path = tmp_path / "file"
    NO_PLAIN_FILES[kind](path)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(NotPlainError, match=rf"^{path}: expected a plain file, .* remove it$"):
        open_plain(str(path), flags)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("kind", sorted(NO_PLAIN_FILES.keys() - {"link"}))
def test_a_link_that_may_be_followed_must_lead_to_a_plain_file(kind: str, tmp_path: Path) -> None:
    """One that leads to itself is refused as well."""
    NO_PLAIN_FILES[kind](tmp_path / "target")
    (tmp_path / "file").symlink_to("target")
    with pytest.raises(NotPlainError):
        open_plain(str(tmp_path / "file"), links=True)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(NotPlainError):
        open_plain(str(tmp_path / "loop"), links=True)


def test_a_dangling_link_makes_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotPlainError):
        open_plain(str(tmp_path / "file"), os.O_RDWR | os.O_CREAT)
    assert not (tmp_path / "elsewhere").exists()


def test_a_plain_file_is_opened_within_a_directory(tmp_path: Path) -> None:
    """No child inherits it, and a missing file is told from one that can't be used."""
    (tmp_path / "file").write_text("text")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fd = open_plain("file", within=directory)
        assert os.read(fd, 10) == b"text"
        assert not os.get_inheritable(fd)
        os.close(fd)
        with pytest.raises(FileNotFoundError):
            open_plain("none", within=directory)
    finally:
        os.close(directory)


def test_a_file_is_read_up_to_a_size(tmp_path: Path) -> None:
    """A sparse file of a terabyte takes no room, but reading it would take all memory."""
    path = tmp_path / "file"
    path.write_bytes(b"text")
    assert read(str(path)) == b"text"
    os.truncate(path, MAX_BYTES)
    assert len(read(str(path))) == MAX_BYTES
    os.truncate(path, 1 << 40)
    with pytest.raises(NotPlainError, match=rf"^{path}: expected at most 64 MiB"):
        read(str(path))


def test_the_files_of_proc_are_read() -> None:
    """Linux shows them with a size of 0."""
    assert read("/proc/self/cmdline")


@pytest.mark.parametrize("text", ["", "text\n", "tör\n"])
def test_a_text_is_utf_8_with_or_without_a_byte_order_mark(text: str) -> None:
    assert as_text(text.encode()) == text
    assert as_text(text.encode("utf-8-sig")) == text


@pytest.mark.parametrize("content", [b"a\xff", b"\xed\xb3\xbf", "text".encode("utf-16")])
def test_other_bytes_are_no_text(content: bytes) -> None:
    """The error shows none of them, since they may belong to a secret."""
    with pytest.raises(ValueError, match=r"^it is not UTF-8 from byte \d on$"):
        as_text(content)
