"""Two real recordings of two cameras, as they were made, for each test of verify."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mirror import Mirror, new_home
from support.two_copies import an_hour_ago, film, record_both
from support.users import new_mirror

SECONDS = 40


@pytest.fixture(scope="module")
def recorded() -> Iterator[tuple[Mirror, Path]]:
    """A mirror of two cameras, whose recordings have ended, and a copy of all its files."""
    with new_mirror() as made, new_home() as copy:
        made.run("adopt-volume")
        begun = an_hour_ago()
        for camera_id, tone in (("gate", 300), ("hall", 500)):
            made.database.add(camera_id)
            record_both(made, camera_id, film(made.home / f"{camera_id}.mkv", SECONDS, tone), begun)
        shutil.copytree(made.home, copy / "home", symlinks=True)
        yield made, copy / "home"


@pytest.fixture
def mirror(recorded: tuple[Mirror, Path]) -> Mirror:
    """The same mirror as it was recorded. Nothing runs, and nothing was proven."""
    made, copy = recorded
    shutil.rmtree(made.home)
    shutil.copytree(copy, made.home, symlinks=True)
    return Mirror(made.home, made.database, made.env)
