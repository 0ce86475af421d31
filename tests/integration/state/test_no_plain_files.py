"""Whatever lies where a file of the state is expected, no command hangs or crashes, and what runs goes on."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mirror import Mirror
from support.no_plain_files import NO_PLAIN_FILES
from support.running import kill, plan_counts, recorders, wait_until_recording
from support.users import new_mirror
from support.waiting import wait_for
from support.watched import wait_until_shown, wait_until_well, watcher_pid

from heldar_mirror.recorder.volume import MARKER


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\n")


# Each puts something at a path that can't be used as a file of the state.
ODD: dict[str, Callable[[Path], object]] = {**NO_PLAIN_FILES, "no text": not_text}


@contextlib.contextmanager
def instead(path: Path, kind: str) -> Iterator[None]:
    """Something else lies at the path until the block ends; then what was there is put back."""
    aside = path.with_name(f"aside of {path.name}")
    was_there = path.exists()
    if was_there:
        path.rename(aside)
    ODD[kind](path)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.with_name("target").unlink(missing_ok=True)
        if was_there:
            aside.rename(path)


@pytest.fixture(scope="module")
def running() -> Iterator[Mirror]:
    """A mirror that runs without a watcher, with the cameras `gate` and `hall`."""
    with new_mirror() as mirror:
        mirror.database.add("gate")
        mirror.database.add("hall")
        with mirror.up():
            wait_until_recording(mirror, "gate", "hall")
            mirror.run("prune", code=None)
            yield mirror


# What opens each file of the state. A lock needs no text, and a memory of the pruner that is none is begun anew.
COMMANDS = {
    "volumes": ["reconcile", "reconcile --dry-run", "prune", "prune --dry-run", "adopt-volume"],
    "programs.conf": ["reconcile"],
    "lock": ["reconcile", "adopt-volume"],
    "prune.lock": ["prune"],
    "up.lock": ["up"],
    "retention.json": ["prune", "prune --dry-run"],
}
TEXTS = {"volumes", "programs.conf"}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in COMMANDS for kind in ODD if name in TEXTS or kind != "no text"]
)
def test_a_command_names_what_it_can_not_use(running: Mirror, name: str, kind: str) -> None:
    """Exit code 7, the file and what to do. What runs goes on, and the command works as before when the file is
    back."""
    before = recorders(running)
    path = running.state / name
    with instead(path, kind):
        for command in COMMANDS[name]:
            shown = running.run(*command.split(), code=7).stderr
            assert shown.startswith("heldar-mirror: ")
            assert str(path) in shown
            assert ". Put " in shown or ". Remove " in shown
            assert recorders(running) == before
    assert plan_counts(running.run("reconcile")) == {"unchanged": 2}
    assert recorders(running) == before


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["status/status.json", "log/mirror-gate.log"])
def test_a_status_is_found_out_all_the_same(running: Mirror, name: str, kind: str) -> None:
    """`status` names what it can't read, and says what it finds elsewhere."""
    with instead(running.state / name, kind):
        report = running.json("status")
    assert {camera["camera_id"]: camera["activity"] for camera in report["cameras"]} == dict.fromkeys(
        ["gate", "hall"], "recording"
    )
    assert kind == "no text" or str(running.state / name) in "".join(report["problems"])


@pytest.mark.parametrize("kind", ODD)
def test_a_marker_that_is_no_file_is_no_marker(running: Mirror, kind: str) -> None:
    """Exit code 6: nothing new is recorded on a volume that can't be proven, and nothing that runs is stopped."""
    before = recorders(running)
    with instead(running.root / MARKER, kind):
        assert str(running.root) in running.run("reconcile", code=6).stderr
        assert recorders(running) == before
    assert plan_counts(running.run("reconcile")) == {"unchanged": 2}


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind != "directory"])
def test_a_launch_spec_is_written_anew(running: Mirror, kind: str) -> None:
    """It costs its own camera a restart. The launch spec of a name that no camera can have is not looked at."""
    before = wait_until_recording(running, "gate", "hall")
    spec = running.state / "specs/gate.spec"
    spec.unlink()
    ODD[kind](spec)
    ODD[kind](running.state / "specs/no camera \udcff.spec")
    (running.state / "specs/target").unlink(missing_ok=True)
    assert plan_counts(running.run("reconcile")) == {"changed": 1, "unchanged": 1}
    assert spec.is_file()
    assert not spec.is_symlink()
    after = wait_until_recording(running, "gate", "hall")
    assert after["hall"] == before["hall"]
    (running.state / "specs/no camera \udcff.spec").unlink()


def test_a_directory_in_a_launch_specs_place_holds_back_its_own_camera_alone(running: Mirror) -> None:
    """It can't be replaced. What runs for the camera goes on."""
    before = wait_until_recording(running, "gate", "hall")
    spec = running.state / "specs/gate.spec"
    running.database.add("yard")
    with instead(spec, "directory"):
        assert str(spec) in running.run("reconcile", code=7).stderr
        assert wait_until_recording(running, "yard")["gate"] == before["gate"]
    running.database.execute("DELETE FROM cameras WHERE id = 'yard'")
    assert plan_counts(running.run("reconcile")) == {"removed": 1, "unchanged": 2}


@pytest.mark.parametrize("kind", NO_PLAIN_FILES)
@pytest.mark.parametrize("name", ["supervisord.pid", "log/supervisord.log", "log/watch.log", "supervisor.sock"])
def test_up_starts_no_supervisord_that_would_hang(mirror: Mirror, name: str, kind: str) -> None:
    """supervisord opens a FIFO like a file, and waits for ever. What lies in its socket's place it replaces, unless
    that is a directory."""
    mirror.database.add("gate")
    (mirror.state / "log").mkdir(parents=True)
    path = mirror.state / name
    NO_PLAIN_FILES[kind](path)
    if name == "supervisor.sock" and kind != "directory":
        if kind == "socket":
            path.unlink()
            path.touch()
        with mirror.up(watched=True):
            wait_until_recording(mirror, "gate")
        return
    shown = mirror.run("up", code=7).stderr
    assert str(path) in shown
    assert "emove it" in shown


def another_watcher(mirror: Mirror) -> int:
    """Kill the watcher, and return the process id of the next one."""
    before = watcher_pid(mirror)
    kill(before)
    wait_for(lambda: watcher_pid(mirror) not in {0, before})
    return watcher_pid(mirror)


@pytest.mark.slow
def test_the_watcher_goes_on_whatever_lies_in_the_states_place() -> None:
    """It shows the problem and is not ended by it, nor is what it watches. A new watcher starts all the same."""
    with new_mirror() as mirror:
        mirror.database.add("gate")
        mirror.database.add("hall")
        with mirror.up(watched=True):
            before = wait_until_recording(mirror, "gate", "hall")
            wait_until_well(mirror)
            first = watcher_pid(mirror)
            for name in (*sorted(TEXTS), "lock", "log/mirror-gate.log"):
                for kind in ("FIFO", "no text") if name in TEXTS else ("FIFO",):
                    with instead(mirror.state / name, kind):
                        mirror.database.execute("UPDATE cameras SET name = name || 'x'")
                        mirror.database.update("hall", segment_seconds=59 if kind == "FIFO" else 58)
                        wait_until_shown(mirror, str(mirror.state / name))
                    wait_until_well(mirror)
                    assert recorders(mirror)["gate"] == before["gate"]
            assert watcher_pid(mirror) == first
            for name in ("volumes", "programs.conf"):
                before = wait_until_recording(mirror, "gate", "hall")
                with instead(mirror.state / name, "FIFO"):
                    second = another_watcher(mirror)
                    wait_until_shown(mirror, str(mirror.state / name))
                wait_until_well(mirror)
                assert watcher_pid(mirror) == second
                assert recorders(mirror) == before
