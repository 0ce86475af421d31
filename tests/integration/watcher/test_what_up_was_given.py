"""The key and the relative paths that `up` was given hold for the watcher, and anybody may read what it publishes."""

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support.examples import KEY, seal
from support.following import published, read_anew, status_file, wait_until_recorded, watcher
from support.inspection import processes_of_mirror
from support.listeners import open_port
from support.mirror import PASSWORD, SCHEMA, Database, Mirror
from support.running import kill, wait_until_recording
from support.users import NOT_INHERITED, STRANGER_UID, as_root, new_mirror, python_for_all, run_as
from support.waiting import processes_of, wait_for

from heldar_mirror.children import NEEDED
from heldar_mirror.setting_table import BY_NAME

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Mirror]:
    """A watched mirror whose `up` got its secret key in the environment, and its database as a path relative to its
    working directory. Everybody can read its status file."""
    with new_mirror() as mirror, contextlib.ExitStack() as stack:
        del mirror.env["HELDAR_DATABASE_URL"]
        (mirror.home / "heldar.env").write_text("HELDAR_DATABASE_URL=sqlite:heldar/heldar.db\n")
        mirror.env["HELDAR_MIRROR_SPECS_DIR"] = str(mirror.state / "specs")
        mirror.env["HELDAR_MIRROR_STATUS_DIR"] = str(mirror.home / "status")
        # mirror.up() waits for a status file at its default place, where this watcher writes none.
        (mirror.state / "status").mkdir(parents=True)
        (mirror.state / "status/status.json").touch()
        with working_in(mirror.home):
            stack.enter_context(mirror.up(watched=True, HELDAR_SECRET_KEY=KEY, **NOT_INHERITED))
        wait_for(status_file(mirror).exists)
        yield mirror


@contextlib.contextmanager
def working_in(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def test_a_relative_database_begins_where_up_was_started(elsewhere: Mirror) -> None:
    """A relative HELDAR_DATABASE_URL means the same file to the watcher as to `up`. A different file is followed after
    a SIGHUP."""
    elsewhere.database.add("gate")
    wait_until_recorded(elsewhere, {"gate": 60})
    wait_for(lambda: f"watching {elsewhere.database.path} by " in elsewhere.watch_log())
    other = Database(elsewhere.database.path.with_name("other.db"))
    other.execute(f"PRAGMA journal_mode=WAL; {SCHEMA}")
    with read_anew(elsewhere, "HELDAR_DATABASE_URL=sqlite:heldar/other.db\n", "heldar.env"):
        wait_until_recorded(elsewhere, {})
        other.add("hall")
        wait_until_recorded(elsewhere, {"hall": 60})
    wait_until_recorded(elsewhere, {"gate": 60})


def test_a_secret_key_in_the_environment_of_up_reaches_the_watcher_alone(elsewhere: Mirror) -> None:
    """A sealed camera that is added later is recorded, though no child has the key in its environment."""
    elsewhere.database.add("sealed", password=seal(PASSWORD.encode()))
    wait_until_recording(elsewhere, "sealed")
    spec = (elsewhere.state / "specs/sealed.spec").read_text()
    assert f"url=rtsp://admin:{quote(PASSWORD, safe='')}@127.0.0.1:{open_port()}/" in spec
    children = processes_of(str(elsewhere.home))
    for part in ("supervisord", "heldar_mirror watch", "start_recorder.py", "fake_ffmpeg"):
        assert any(part in command for command in children.values()), part
    for pid, command in children.items():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            assert KEY not in (Path(f"/proc/{pid}/environ")).read_text(), command
    # The key outlives the watcher, though supervisord gives the next one no key.
    kill(watcher(elsewhere))
    elsewhere.database.update("sealed", password=seal(b"another"))
    wait_for(lambda: "url=rtsp://admin:another@" in (elsewhere.state / "specs/sealed.spec").read_text())


def test_no_child_inherits_what_up_was_not_asked_to_pass_on(elsewhere: Mirror) -> None:
    """supervisord, watcher, pruner, recorders and ffmpegs get the settings at most, and what is on a list."""
    elsewhere.database.add("street")
    wait_until_recording(elsewhere, "street")
    names = {*NEEDED, "PWD", "SHLVL", "_"}
    supervisords = ("ENABLED", "SERVER_URL", "PROCESS_NAME", "GROUP_NAME")
    of_supervisord = {*BY_NAME, *(f"SUPERVISOR_{name}" for name in supervisords)}
    kinds = {
        "supervisor.supervisord": names | {*BY_NAME},
        "heldar_mirror watch": names | of_supervisord,
        "heldar_mirror prune": names,
        "start_recorder.py": names | of_supervisord,
        "fake_ffmpeg": names - {"HOME", "TMPDIR", "XDG_STATE_HOME"},
    }
    children = wait_for(lambda: (found := processes_of_mirror(elsewhere)) and len(found) > len(kinds) and found)
    for kind, allowed in kinds.items():
        pids = [pid for pid, command in children.items() if kind in command and " up" not in command]
        assert pids, kind
        for pid in pids:
            environment = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
            assert {variable.partition("=")[0] for variable in environment} <= allowed, kind


@as_root
def test_anybody_can_read_the_status_and_it_holds_no_secret(elsewhere: Mirror) -> None:
    """The status file has mode 0644 in a directory of mode 0755, `status` shows it to any user, and it shows no
    secret."""
    elsewhere.database.execute("DELETE FROM cameras")
    elsewhere.database.add("gate")
    wait_until_recording(elsewhere, "gate")
    path = status_file(elsewhere)
    wait_for(lambda: (report := published(elsewhere))["well"] and len(report["cameras"]) == 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    shown = run_as(STRANGER_UID, [python_for_all(), "-m", "heldar_mirror", "status"], **elsewhere.env)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "1 of 1 mirrors record" in shown.stdout
    text = run_as(STRANGER_UID, ["cat", str(path)]).stdout
    assert json.loads(text)["cameras"][0]["camera_id"] == "gate"
    texts = text + shown.stdout + shown.stderr + elsewhere.watch_log()
    assert not [secret for secret in (PASSWORD, quote(PASSWORD, safe=""), KEY) if secret in texts]
