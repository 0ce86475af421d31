"""Tests that mostly wait, each with its own mirror and camera. All tests of a file run at the same time."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from support.camera import Camera, ScriptedCamera
from support.mirror import Mirror
from support.users import new_mirror

Ordeal = Callable[[Mirror, int], None]
Ordeals = dict[str, "Future[None]"]


class AtOnce:
    """A decorator for a function of a mirror and a camera's port. It makes a test that runs beside the file's others.

    The file must define the fixture `ordeals` as what `fixture` returns.
    """

    def __init__(self, camera: "Callable[[], contextlib.AbstractContextManager[Camera]] | None" = None) -> None:
        self._camera = camera or steady_camera
        self._ordeals: dict[str, Ordeal] = {}

    def __call__(self, ordeal: Ordeal) -> Callable[[Ordeals], None]:
        def test(ordeals: Ordeals) -> None:
            ordeals[ordeal.__name__].result()

        self._ordeals[ordeal.__name__] = ordeal
        test.__name__, test.__doc__ = ordeal.__name__, ordeal.__doc__
        return test

    def each(self, cases: Sequence[str]) -> Callable[[Callable[[Mirror, int, str], None]], Any]:
        """Return a decorator for a function of a mirror, a camera's port and a case. It makes a test for each case."""

        def decorate(ordeal: Callable[[Mirror, int, str], None]) -> Any:
            @pytest.mark.parametrize("case", cases)
            def test(ordeals: Ordeals, case: str) -> None:
                ordeals[f"{ordeal.__name__}[{case}]"].result()

            for case in cases:
                self._ordeals[f"{ordeal.__name__}[{case}]"] = _with_case(ordeal, case)
            test.__name__, test.__doc__ = ordeal.__name__, ordeal.__doc__
            return test

        return decorate

    def fixture(self, most: int = 100) -> Any:
        """Return a fixture that starts all selected functions of the file, `most` at a time and in their order."""

        @pytest.fixture(scope="module")
        def ordeals(request: pytest.FixtureRequest) -> Iterator[Ordeals]:
            selected = {item.name for item in request.session.items}
            with ThreadPoolExecutor(most) as pool:
                yield {
                    name: pool.submit(self._run, name, ordeal)
                    for name, ordeal in self._ordeals.items()
                    if name in selected
                }

        return ordeals

    def _run(self, name: str, ordeal: Ordeal) -> None:
        # No camera is shared, because a hung recorder keeps its camera from sending to others.
        with self._camera() as camera, new_mirror() as mirror:
            try:
                ordeal(mirror, camera.port)
            except pytest.skip.Exception:
                raise
            except BaseException:
                print(name, mirror.describe_state())
                raise


def _with_case(ordeal: Callable[[Mirror, int, str], None], case: str) -> Ordeal:
    return lambda mirror, port: ordeal(mirror, port, case)


@contextlib.contextmanager
def scripted_camera() -> Iterator[Camera]:
    """The cameras of scripted_camera.py, without a log."""
    camera = ScriptedCamera()
    camera.plug_in()
    try:
        yield camera
    finally:
        camera.unplug()


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
