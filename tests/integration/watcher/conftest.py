"""The mirror that most tests of the watcher share."""

from collections.abc import Iterator

import pytest
from support.following import wait_until_recorded
from support.mirror import Mirror
from support.users import new_mirror


@pytest.fixture(scope="module")
def running() -> Iterator[Mirror]:
    """A mirror that is up with its watcher. Each file of tests has its own."""
    with new_mirror() as mirror, mirror.up(watched=True):
        yield mirror


@pytest.fixture
def watched(running: Mirror) -> Iterator[Mirror]:
    """The mirror that is up. Its table is empty before and after each test."""
    yield running
    running.database.execute("DELETE FROM cameras; DELETE FROM segments")
    wait_until_recorded(running, {})
