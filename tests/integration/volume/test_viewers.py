"""People who may view the footage: they can read it, and stop nothing."""

import grp
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mirror import Mirror
from support.running import kill, plan_counts, recorders, wait_until_recording
from support.users import STRANGER_UID, MirrorForAll, as_root, locking_all, new_mirror
from support.waiting import wait_for

from heldar_mirror.volume.marker import prove

pytestmark = as_root

MARKER, LOCK = ".heldar-mirror", ".heldar-mirror.lock"


@pytest.fixture
def running() -> Iterator[Mirror]:
    """A mirror of the user games that records the camera `gate`. The group of that user may view the footage."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.env["HELDAR_MIRROR_USER"] = "games"
        mirror.database.add("gate")
        with mirror.up():
            wait_until_recording(mirror, "gate")
            yield mirror


def modes(mirror: Mirror) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in (mirror.root / MARKER, mirror.root / "gate" / LOCK)}


def restarted(mirror: Mirror) -> None:
    """Have the camera `gate` begin anew."""
    before = recorders(mirror)["gate"]
    kill(before)
    wait_for(lambda: recorders(mirror).get("gate") not in {None, before})


def test_a_viewer_who_locks_all_that_he_may_read_stops_nothing(running: Mirror) -> None:
    """With all of it locked a camera begins anew, a further one begins, and the footage is pruned."""
    with locking_all(STRANGER_UID, running.home, grp.getgrnam("games").gr_gid) as opened:
        assert str(running.segments("gate")[0]) in opened  # he is a viewer indeed
        assert not [path for path in opened if Path(path).name in {MARKER, LOCK}]
        restarted(running)
        running.database.add("hall")
        assert plan_counts(running.run("reconcile")) == {"added": 1, "unchanged": 1}
        wait_until_recording(running, "gate", "hall")
        running.run("prune")
        running.run("reconcile")


def test_what_an_earlier_version_let_the_group_read_is_narrowed(running: Mirror) -> None:
    """A recorder does it at its start, before it takes the locks."""
    (running.root / MARKER).chmod(0o640)
    (running.root / "gate" / LOCK).chmod(0o640)
    restarted(running)
    wait_until_recording(running, "gate")
    assert modes(running) == {MARKER: 0o600, LOCK: 0o600}


def test_whoever_proves_the_volume_as_its_owner_narrows_the_marker(running: Mirror) -> None:
    """So after an upgrade no recorder has to begin anew for that."""
    (running.root / MARKER).chmod(0o640)
    running.run("reconcile")
    assert modes(running)[MARKER] == 0o600


def test_a_marker_of_roots_stays_as_it_is_where_root_only_watches(running: Mirror) -> None:
    """If it was restored by root, the recorders read it by its mode. A joined root that narrowed it would stop them."""
    marker = running.root / MARKER
    shutil.chown(marker, "root", "root")
    marker.chmod(0o644)
    prove(running.root, marker.read_text().strip())
    assert marker.stat().st_mode & 0o777 == 0o644
    restarted(running)
    wait_until_recording(running, "gate")


def test_an_adopted_root_has_a_marker_for_its_owner_alone(running: Mirror) -> None:
    """Also if there was one already."""
    other = running.home / "other"
    other.mkdir(mode=0o750)
    (other / MARKER).write_text("another\n")
    (other / MARKER).chmod(0o644)
    for path in (other, other / MARKER):
        shutil.chown(path, "games", "games")
    running.run("adopt-volume", HELDAR_MIRROR_RECORDINGS_DIR=str(other))
    assert (other / MARKER).stat().st_mode & 0o777 == 0o600
