"""Faults of a supervisord that the mirror has joined, while the watcher follows the table."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.inspection import command_line
from support.joined import ADMIN_PASSWORD, Joined
from support.mirror import GROWING_FFMPEG
from support.running import kill, recorders
from support.users import as_root, new_mirror
from support.waiting import processes_of, wait_for
from support.watched import is_recorded_in, times_logged, wait_until_recorded, wait_until_shown, wait_until_well

from heldar_mirror.proc.processes import all_children

CANT_READ = "can't read its files, and nothing was applied"


class JoinedAndWatched(Joined):
    """A machine's supervisord that runs the watcher too, and programs of others that are named like ours."""

    stanza = "{watch}"

    def configure(self, more: str = "") -> None:
        self.write_settings()
        environment = {
            "HELDAR_ENV_FILE": self.env["HELDAR_ENV_FILE"],
            "HELDAR_MIRROR_ENV_FILE": self.env["HELDAR_MIRROR_ENV_FILE"],
        }
        super().configure(
            f"""
[eventlistener:watch]
command={self.stanza.format(watch=" ".join(self.command("watch")))}
environment={",".join(f'{name}="{value}"' for name, value in environment.items())}
events=PROCESS_STATE,PROCESS_GROUP
buffer_size=10000
startretries=1000000000
stderr_logfile={self.logs}/watch.log
[program:heldar_foreign]
command={self.home}/sleep infinity
[program:heldar_failing]
command=/bin/false
startretries=0
{more}
"""
        )

    def write_settings(self, **changed: str) -> None:
        """Write our settings into the mirror's env file, where the watcher finds them."""
        own = {name: value for name, value in self.env.items() if name.startswith("HELDAR_")} | changed
        lines = [f"{name}={value}\n" for name, value in own.items() if not name.endswith("ENV_FILE")]
        (self.home / "mirror.env").write_text("".join(lines))


@contextlib.contextmanager
def joined_and_watched(kind: type[JoinedAndWatched] = JoinedAndWatched) -> Iterator[JoinedAndWatched]:
    """A supervisord with programs of its own, whose watcher has begun to record the camera `gate` as user games."""
    with new_mirror(kind) as mirror:
        mirror.join()
        mirror.env["HELDAR_FFMPEG_BIN"] = str(GROWING_FFMPEG)
        mirror.logs.mkdir(parents=True)
        mirror.database.add("gate")
        mirror.database.add("foreign", mirror_enabled=0)
        with mirror.supervisord():
            try:
                wait_until_recorded(mirror, {"gate"})
            except pytest.fail.Exception as failure:
                log = (mirror.home / "supervisord.log").read_text()
                pytest.fail(f"{failure}\n{recorders(mirror)}\n{mirror.watch_log()}\n{log}")
            yield mirror


@pytest.fixture(scope="module")
def joined() -> Iterator[JoinedAndWatched]:
    with joined_and_watched() as mirror:
        yield mirror


OTHERS = ("other", "mirror-foreign", "heldar_foreign", "watch")


@as_root
@pytest.mark.slow
def test_a_joined_watcher_follows_the_table_and_leaves_others_alone(joined: JoinedAndWatched) -> None:
    """Cameras come, change and go by themselves. Programs that are named like ours are neither shown, started nor
    stopped."""
    before = joined.pids(*OTHERS)
    wait_for(
        lambda: re.search(r"^heldar_failing +FATAL", joined.supervisorctl("status"), re.MULTILINE),
        seen=lambda: joined.supervisorctl("status"),
    )
    joined.database.add("hall")
    wait_until_recorded(joined, {"gate", "hall"})
    joined.database.update("hall", segment_seconds=61)
    wait_for(lambda: is_recorded_in(joined, "hall", 61))
    joined.database.execute("DELETE FROM cameras WHERE id = 'hall'")
    wait_until_recorded(joined, {"gate"})
    wait_until_well(joined)
    shown = joined.status()
    assert shown.keys() == {"gate", "foreign"}
    assert shown["foreign"] | {"wanted": False, "state": None, "segment": None} == shown["foreign"]
    assert joined.pids(*OTHERS) == before
    # The program that failed for good was started once. One of ours would have been tried again long ago.
    assert (joined.home / "supervisord.log").read_text().count("spawned: 'heldar_failing'") == 1


@as_root
@pytest.mark.slow
def test_a_joined_watcher_reports_names_that_are_taken(joined: JoinedAndWatched) -> None:
    """Cameras come whose programs would have the names of somebody else's. Both wait and are reported, once. Those
    programs go on, and the one that failed for good is not started."""
    before, others = recorders(joined), joined.pids(*OTHERS)
    spawned = (joined.home / "supervisord.log").read_text().count("spawned: 'heldar_failing'")
    joined.database.update("foreign", mirror_enabled=1)
    joined.database.add("failing")
    try:
        for camera_id in ("foreign", "failing"):
            wait_until_shown(joined, f"supervisord has a program heldar_{camera_id} that is not this mirror's")
            assert joined.status()[camera_id]["activity"] == "unusable"
            assert joined.status()[camera_id]["state"] is None
        joined.database.update("gate", segment_seconds=64)
        wait_for(lambda: is_recorded_in(joined, "gate", 64))
        assert joined.pids(*OTHERS) == others
        assert (joined.home / "supervisord.log").read_text().count("spawned: 'heldar_failing'") == spawned
        assert times_logged(joined, "camera failing: supervisord has a program") == 1
    finally:
        joined.database.update("foreign", mirror_enabled=0)
        joined.database.execute("DELETE FROM cameras WHERE id = 'failing'")
    wait_until_recorded(joined, {"gate"})
    wait_until_well(joined)
    assert joined.pids(*OTHERS) == others
    assert recorders(joined).keys() == before.keys()


@as_root
@pytest.mark.slow
def test_a_joined_watcher_with_a_wrong_password_tells_it_once(joined: JoinedAndWatched) -> None:
    """supervisord's refusal is reported without the password. With the right password what waits is applied by
    itself."""
    before, others = recorders(joined), joined.pids(*OTHERS)
    said = times_logged(joined, "wrong user or password")
    try:
        joined.write_settings(HELDAR_MIRROR_SUPERVISOR_PASSWORD="guess")
        joined.supervisorctl("signal", "HUP", "watch")
        wait_for(lambda: times_logged(joined, "wrong user or password") > said)
        joined.database.update("gate", segment_seconds=62)
        wait_for(lambda: "\narg=62\n" in (joined.state / "specs/gate.spec").read_text())
        wait_until_shown(joined, "See HELDAR_MIRROR_SUPERVISOR_USERNAME and _PASSWORD")
        assert recorders(joined) == before
    finally:
        joined.write_settings()
        joined.supervisorctl("signal", "HUP", "watch")
    wait_for(lambda: is_recorded_in(joined, "gate", 62))
    wait_until_recorded(joined, {"gate"})
    assert times_logged(joined, "wrong user or password") == said + 1
    for secret in ("guess", ADMIN_PASSWORD):
        assert secret not in joined.watch_log()
    assert joined.pids(*OTHERS) == others


@as_root
@pytest.mark.slow
def test_somebody_elses_bad_stanza_makes_a_joined_watcher_wait(joined: JoinedAndWatched) -> None:
    """A stanza that supervisord can't read is reported once. What runs goes on, ours and theirs. When it is mended,
    what waits is applied by itself."""
    before, others, said = recorders(joined), joined.pids(*OTHERS), times_logged(joined, CANT_READ)
    try:
        joined.configure("[program:bad]\nautostart=true\n")
        joined.database.update("gate", segment_seconds=63)
        wait_for(lambda: times_logged(joined, CANT_READ) > said)
        wait_until_shown(joined, "program:bad")
        assert recorders(joined) == before
    finally:
        joined.configure()
    wait_for(lambda: is_recorded_in(joined, "gate", 63))
    wait_until_recorded(joined, {"gate"})
    assert times_logged(joined, CANT_READ) == said + 1
    assert joined.pids(*OTHERS) == others


@as_root
@pytest.mark.slow
def test_a_busy_watcher_does_not_outlive_the_supervisord_that_it_joined() -> None:
    """If supervisord is killed before its watcher has answered it, the watcher ends. It does not run beside that of the
    next supervisord."""
    with joined_and_watched() as mirror:
        (pid,) = mirror.pids("watch")
        others = mirror.pids("other", "mirror-foreign", "heldar_foreign")
        os.kill(pid, signal.SIGSTOP)
        try:
            mirror.supervisorctl("stop", "heldar_gate")
            kill(int((mirror.home / "supervisord.pid").read_text()))
            os.kill(pid, signal.SIGCONT)
            wait_for(lambda: not Path(f"/proc/{pid}").exists())
        finally:
            # The programs of a supervisord that was killed live on.
            for left in (pid, *others):
                with contextlib.suppress(ProcessLookupError):
                    kill(left)


@as_root
@pytest.mark.slow
def test_recorders_whose_launch_specs_have_moved_are_seen(joined: JoinedAndWatched) -> None:
    """After a SIGHUP that moves the launch specs, the watcher knows its recorders by the new directory."""
    before, moved = recorders(joined)["gate"], joined.home / "moved"

    def is_seen() -> bool:
        return (gate := joined.status()["gate"])["well"] and gate["segment"] is not None

    try:
        joined.write_settings(HELDAR_MIRROR_SPECS_DIR=str(moved))
        joined.supervisorctl("signal", "HUP", "watch")
        wait_for(lambda: processes_of(f"{moved}/gate.spec"), seen=joined.watch_log)
        wait_for(is_seen, seen=joined.status)
    finally:
        joined.write_settings()
        joined.supervisorctl("signal", "HUP", "watch")
    wait_for(lambda: recorders(joined).get("gate", before) != before)
    wait_for(is_seen, seen=joined.status)


class JoinedByAShell(JoinedAndWatched):
    """A stanza that runs the watcher in a shell that stays."""

    stanza = "sh -c '{watch}; :'"


@as_root
@pytest.mark.slow
def test_a_watcher_that_is_no_child_of_supervisord_says_so() -> None:
    """It knows recorders by their parent, so it can't see any, and nothing is pruned. They record all the same."""
    with joined_and_watched(JoinedByAShell) as mirror:
        wait_until_shown(mirror, "without a shell or sudo in between")
        assert not pruners(mirror)


@as_root
@pytest.mark.slow
def test_a_watcher_that_is_a_child_of_supervisord_prunes(joined: JoinedAndWatched) -> None:
    wait_for(lambda: pruners(joined), seen=joined.watch_log)


def pruners(mirror: Joined) -> list[str]:
    """Return the command lines of the pruners among the descendants of supervisord."""
    children = all_children()
    found = [int((mirror.home / "supervisord.pid").read_text())]
    for pid in found:
        found += children.get(pid, [])
    return [command for command in map(command_line, found) if "prune --forever" in command]
