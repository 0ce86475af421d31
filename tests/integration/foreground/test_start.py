"""What `up` starts with, and what is left after it."""

import sys

import pytest
from support.in_step import assert_in_step
from support.mirror import Mirror
from support.running import kill, plan_counts, wait_until_recording
from support.users import new_mirror
from support.waiting import processes_of, wait_for

from heldar_mirror.recorder.volume import MARKER


class Installed(Mirror):
    """A mirror whose command is a script, as pip makes it."""

    def install(self) -> None:
        (self.home / "heldar-mirror").write_text("from heldar_mirror.cli.main import main\n\nmain()\n")

    def command(self, *args: str) -> list[str]:
        return [sys.executable, str(self.home / "heldar-mirror"), *args]


def test_up_with_an_unreadable_database_mirrors_the_last_known_good(mirror: Mirror) -> None:
    """After a boot with the primary's disk dead the cameras that were known last are recorded."""
    mirror.database.add("gate")
    with mirror.up():
        wait_until_recording(mirror, "gate")
    mirror.database.path.parent.rename(mirror.home / "dead")
    with mirror.up():
        wait_until_recording(mirror, "gate")
        assert "Going on with the last known good" in mirror.up_log()
        mirror.run("reconcile", code=4)
        (mirror.home / "dead").rename(mirror.database.path.parent)
        assert plan_counts(mirror.run("reconcile")) == {"unchanged": 1}


def test_a_first_up_with_an_unreadable_database_waits_for_it(mirror: Mirror) -> None:
    """If nothing is known yet `up` says so, marks no volume, and records as soon as there is a database."""
    mirror.database.add("gate")
    mirror.database.path.parent.rename(mirror.home / "dead")
    with mirror.up(watched=True):
        assert "cannot read the cameras" in mirror.up_log()
        wait_for(lambda: "cannot read the cameras" in mirror.watch_log())
        assert not (mirror.root / MARKER).exists()
        (mirror.home / "dead").rename(mirror.database.path.parent)
        wait_until_recording(mirror, "gate")


def test_what_lies_where_up_is_started_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of our name, or of supervisord's, in the directory where `up` is started is not imported."""
    with new_mirror(Installed) as mirror:
        mirror.install()
        for package in ("supervisor", "heldar_mirror"):
            planted = mirror.home / "planted" / package
            planted.mkdir(parents=True)
            (planted / "__init__.py").write_text(f"open({str(mirror.home / 'imported')!r}, 'a').close()\n")
        monkeypatch.chdir(mirror.home / "planted")
        mirror.database.add("gate")
        try:
            with mirror.up(watched=True):
                wait_until_recording(mirror, "gate")
        finally:
            assert not (mirror.home / "imported").exists()


@pytest.mark.parametrize("name", ["a\nfiles=b ;c", "a\udcff"])
def test_a_directory_that_can_not_be_named_is_no_obstacle(
    mirror: Mirror, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` tells the watcher in which directory it was started, in a file that can't hold such a name. Absolute paths
    need none."""
    (mirror.home / name).mkdir()
    monkeypatch.chdir(mirror.home / name)
    mirror.database.add("gate")
    with mirror.up(watched=True):
        wait_until_recording(mirror, "gate")


@pytest.mark.parametrize("whom", ["supervisord", "up"])
def test_whoever_is_killed_nothing_is_left_and_the_next_up_records(mirror: Mirror, whom: str) -> None:
    """A kill -9 of supervisord, or of `up`, leaves no recorder and no ffmpeg, and the next `up` records."""
    cameras = ["gate", "hall", "yard"]
    for camera_id in cameras:
        mirror.database.add(camera_id)
    with mirror.up() as up:
        wait_until_recording(mirror, *cameras)
        kill(up.pid if whom == "up" else int((mirror.state / "supervisord.pid").read_text()))
        code = up.wait(180)
        wait_for(lambda: not processes_of(str(mirror.home)))
        if whom == "supervisord":
            assert code == 5
            assert "supervisord ended by itself" in mirror.up_log()
    with mirror.up():
        wait_until_recording(mirror, *cameras)
        assert_in_step(mirror)
