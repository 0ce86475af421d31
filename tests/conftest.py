"""Fixtures for all tests. Each fixture ends what it starts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.camera import Camera
from support.mirror import Database, Mirror, mirror_env, new_database, new_home

# On a busy machine any example may be slow, so slowness must not fail a test.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for this test alone, removed when the test ends."""
    with new_home() as path:
        yield path


@pytest.fixture
def database(home: Path) -> Database:
    """Heldar's database, without any camera."""
    return new_database(home)


@pytest.fixture
def mirror(home: Path, database: Database) -> Mirror:
    """A mirror that uses the fake ffmpeg, which records nothing and obeys signals. Nothing runs yet."""
    return Mirror(home, database, mirror_env(home, database))


@pytest.fixture
def camera() -> Iterator[Camera]:
    """A plugged-in RTSP camera with a password. It serves `/Streaming/Channels/101`, `/cam/realmonitor` and more."""
    made = Camera()
    made.plug_in()
    yield made
    made.unplug()
