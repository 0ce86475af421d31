"""Which user the mirror's processes and files belong to, and who may read the files."""

import os
import pwd
from pathlib import Path

from support.mirror import FAKE_FFMPEG, Mirror
from support.running import plan_counts, wait_until_recording
from support.scripts import script
from support.users import MirrorForAll, as_root, new_mirror
from support.waiting import processes_of


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_modes_do_not_depend_on_the_umask(mirror: Mirror) -> None:
    """Even with umask 000 Heldar's group may read the footage and nobody may write it, and secrets are for the user
    alone."""
    mirror.database.add("gate")
    umask = os.umask(0)
    try:
        with mirror.up():
            wait_until_recording(mirror, "gate")
            assert mode(mirror.segments("gate")[0]) == 0o640
            assert mode(mirror.root) == mode(mirror.root / "gate") == 0o750
            assert mode(mirror.state) == mode(mirror.state / "specs") == 0o700
            assert mode(mirror.state / "specs/gate.spec") == 0o600
            assert mode(mirror.logs) == 0o750
            open_to_all = [path for path in mirror.root.rglob("*") if mode(path) & 0o002]
            open_to_all += [path for path in mirror.logs.rglob("*") if mode(path) & 0o007]
            assert open_to_all == []
    finally:
        os.umask(umask)


def test_the_umask_is_a_setting(mirror: Mirror) -> None:
    """HELDAR_MIRROR_UMASK says who else may read the footage."""
    mirror.env["HELDAR_MIRROR_UMASK"] = "077"
    mirror.database.add("gate")
    with mirror.up():
        wait_until_recording(mirror, "gate")
        assert mode(mirror.segments("gate")[0]) == 0o600
        assert mode(mirror.root / "gate") == 0o700


@as_root
def test_started_as_root_the_mirror_runs_as_its_own_user() -> None:
    """With HELDAR_MIRROR_USER supervisord, recorders and ffmpegs run as that user and own what they write. Root's
    commands work on it."""
    games = pwd.getpwnam("games")
    with new_mirror(MirrorForAll) as mirror:
        mirror.env["HELDAR_MIRROR_USER"] = "games"
        mirror.database.add("gate")
        with mirror.up():
            before = wait_until_recording(mirror, "gate")["gate"]
            owners = {
                command: Path(f"/proc/{pid}").stat().st_uid for pid, command in processes_of(str(mirror.home)).items()
            }
            assert len(owners) >= 3
            assert set(owners.values()) == {games.pw_uid}, owners
            assert mirror.status()["gate"]["well"]
            assert plan_counts(mirror.run("reconcile")) == {"unchanged": 1}
            mirror.database.add("hall")
            mirror.run("reconcile", "gate")
            assert wait_until_recording(mirror, "gate", "hall")["gate"] != before
            for path in (mirror.state, mirror.root, *mirror.state.rglob("*"), *mirror.root.rglob("*")):
                assert path.owner() == "games", path
            # The user's own commands, without root.
            assert "2 of 2 mirrors record" in mirror.run_as(games.pw_uid, "status", code=1).stdout
            assert plan_counts(mirror.run_as(games.pw_uid, "reconcile", code=0)) == {"unchanged": 2}


@as_root
def test_ffmpeg_is_never_run_as_root_for_another_user() -> None:
    """With HELDAR_MIRROR_USER root does not run ffmpeg, not even for its version."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.env["HELDAR_MIRROR_USER"] = "games"
        users = mirror.home / "users"
        users.touch()
        users.chmod(0o666)
        text = f'#!/bin/sh\necho "$(id -un) $1" >>{users}\nexec {FAKE_FFMPEG} "$@"\n'
        mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "ffmpeg", text)
        mirror.database.add("gate")
        with mirror.up():
            wait_until_recording(mirror, "gate")
        assert set(users.read_text().splitlines()) == {"games -version", "games -hide_banner"}


@as_root
def test_recorders_that_run_as_root_are_warned_about_once(mirror: Mirror) -> None:
    """Started as root without HELDAR_MIRROR_USER, `up` warns of that once."""
    with mirror.up():
        assert mirror.up_log().count("recorders run as root") == 1
