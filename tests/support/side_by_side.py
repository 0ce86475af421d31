"""Tests that mostly wait, each with its own mirror and camera. All tests of a file run at the same time."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from support.camera import Camera
from support.mirror import Mirror
from support.users import new_mirror

Ordeal = Callable[[Mirror, int], None]
Ordeals = dict[str, "Future[None]"]


class AtOnce:
    """A decorator for a function of a mirror and a camera's port. It makes a test that runs beside the file's others.

    The file must define the fixture `ordeals` as what `fixture` returns.
    """

    def __init__(self) -> None:
        self._ordeals: list[Ordeal] = []

    def __call__(self, ordeal: Ordeal) -> Callable[[Ordeals], None]:
        def test(ordeals: Ordeals) -> None:
            ordeals[ordeal.__name__].result()

        self._ordeals.append(ordeal)
        test.__name__, test.__doc__ = ordeal.__name__, ordeal.__doc__
        return test

    def fixture(self, most: int = 100) -> Any:
        """Return a fixture that starts all selected functions of the file, `most` at a time and in their order."""

        @pytest.fixture(scope="module")
        def ordeals(request: pytest.FixtureRequest) -> Iterator[Ordeals]:
            selected = {item.name for item in request.session.items}
            begun = [ordeal for ordeal in self._ordeals if ordeal.__name__ in selected]
            with ThreadPoolExecutor(most) as pool:
                yield {ordeal.__name__: pool.submit(_run, ordeal) for ordeal in begun}

        return ordeals


def _run(ordeal: Ordeal) -> None:
    # No camera is shared, because a hung recorder keeps its camera from sending to others.
    with steady_camera() as camera, new_mirror() as mirror:
        try:
            ordeal(mirror, camera.port)
        except BaseException:
            print(ordeal.__name__, mirror.describe_state())
            raise


@contextlib.contextmanager
def steady_camera() -> Iterator[Camera]:
    """A camera whose server is restarted if it ends, as it may when readers die and return at the same moment."""
    camera, stop = Camera(), threading.Event()
    camera.plug_in()

    def keep() -> None:
        while not stop.wait(0.5):
            if camera.process and camera.process.poll() is not None:
                print("a camera's server ended with", camera.process.returncode)
                camera.unplug()
                camera.plug_in()

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield camera
    finally:
        stop.set()
        thread.join()
        camera.unplug()
