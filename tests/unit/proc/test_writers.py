"""Whether a file is open for writing."""

import os
from pathlib import Path

import pytest

from heldar_mirror.proc.writers import has_writer


def test_a_file_has_a_writer_as_long_as_it_is_open_for_writing(tmp_path: Path) -> None:
    """Whatever it is called by then. Readers don't count, and nobody is kept from writing."""
    path = tmp_path / "file"
    with path.open("wb") as file, path.open("rb") as reader:
        assert has_writer(reader.fileno())
        path.rename(tmp_path / "other")
        assert has_writer(reader.fileno())
        file.close()
        assert has_writer(reader.fileno()) is False
        with (tmp_path / "other").open("ab"):
            assert has_writer(reader.fileno())
        assert has_writer(reader.fileno()) is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_of_somebody_elses_file_it_is_not_known(tmp_path: Path) -> None:
    """Root may ask of any file, and others of theirs."""
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 4321, 4321)
    with path.open("rb") as reader:
        assert has_writer(reader.fileno()) is False
        os.seteuid(1234)
        try:
            assert has_writer(reader.fileno()) is None
        finally:
            os.seteuid(0)
