"""The fixture that the tests of the recorder share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bench import Bench
from support.waiting import wait_for_none


@pytest.fixture(params=["nobody", "root"])
def bench(home: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench whose recorders run as the user that is its parameter."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    made = Bench(home, request.param)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()
    wait_for_none(str(made.ffmpeg), seconds=2)
