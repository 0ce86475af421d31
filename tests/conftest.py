"""The fixtures that every test may ask for. Whatever a fixture starts, it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.camera import Camera
from support.mirror import Database, Mirror, mirror_env, new_database, new_home

# A busy machine makes any example slow, and that is no fault of the code.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of the test's own, removed at its end."""
    with new_home() as path:
        yield path


@pytest.fixture
def database(home: Path) -> Database:
    """An empty database of Heldar's."""
    return new_database(home)


@pytest.fixture
def mirror(home: Path, database: Database) -> Mirror:
    """A mirror with a fake ffmpeg, which records nothing and obeys signals; nothing runs yet."""
    return Mirror(home, database, mirror_env(home, database))


@pytest.fixture
def camera() -> Iterator[Camera]:
    """A plugged-in RTSP camera with a password: `/Streaming/Channels/101`, `/cam/realmonitor` and more."""
    made = Camera()
    made.plug_in()
    yield made
    made.unplug()
