"""The mirror that most tests of the volume share."""

import pytest
from support.mirror import Mirror


@pytest.fixture
def used(mirror: Mirror) -> Mirror:
    """A mirror whose root is in use, with the camera `gate`; nothing runs."""
    mirror.database.add("gate")
    mirror.run("reconcile", code=5)
    return mirror
