"""The files that supervisord reads, read by supervisord's own parser."""

import os
import pwd
import shlex
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from supervisor.datatypes import RestartUnconditionally
from supervisor.options import ClientOptions, ServerOptions
from support.examples import camera_ids, settings

from heldar_mirror.errors import SettingsError
from heldar_mirror.proc.recorders import RECORDER
from heldar_mirror.programs import stanzas as programs
from heldar_mirror.programs.stanzas import PYTHON, render_programs
from heldar_mirror.settings import WATCH, Settings
from heldar_mirror.supervisord.configuration import render_supervisord

# Names of directories. Those that the settings refuse are skipped by the test.
names = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/") | st.sampled_from(" %;#'\"\\$é"),
    min_size=1,
    max_size=8,
).filter(lambda name: name not in {".", ".."})

generations = st.dictionaries(camera_ids, st.integers(1, 2**40), max_size=3)


def parsed(options: Any, path: Path) -> Any:
    """Parse a file with supervisord's own parser, as a reload does."""
    options.configfile = str(path)
    options.process_config(do_usage=False)
    return options


def render(made: Settings, programs_of: dict[str, int]) -> Path:
    """Write both files as `heldar-mirror up` does, and return the path of supervisord's own."""
    for directory in (made.state_dir, made.log_dir):
        directory.mkdir(parents=True, exist_ok=True)
    made.programs_file.write_text(render_programs(programs_of, made))
    path = made.state_dir / "supervisord.conf"
    path.write_text(render_supervisord(made, str(os.geteuid()), 4096, "/a b"))
    return path


@given(state=names, logs=names, specs=names, programs_of=generations)
@example("a b", "it's", 'a"b', {"gate": 1})
@example("100%", "50%", "%s", {"gate": 1, "hall_2": 2**40})
@example("a;b#c", ";", "#", {"gate": 1})
@example("a\\", "\\n", "$HOME", {"gate": 1})
@example("tür", "门", "~", {"gate": 1})
@example("%(here)s", "x", "x", {"gate": 1})
@example("x", "x", "%(here)s", {"gate": 1})
@example("x ", "y ", "z ", {"gate": 1})
@example("x", "y", "a ;b", {"gate": 1})
def test_supervisord_reads_the_programs_as_they_were_written(
    state: str, logs: str, specs: str, programs_of: dict[str, int]
) -> None:
    """supervisord's own parser finds each camera's program, with unchanged paths, in the included file."""
    with tempfile.TemporaryDirectory() as home:
        try:
            made = settings(
                MIRROR_STATE_DIR=f"{home}/{state}/",
                MIRROR_LOG_DIR=f"{home}/{logs}/",
                MIRROR_SPECS_DIR=f"{home}/{specs}/",
            )
        except SettingsError:
            assume(False)
        configuration = render(made, programs_of)
        server = parsed(ServerOptions(), configuration)
        client = parsed(ClientOptions(), configuration)

    assert server.parse_warnings == []
    section = server.configroot.supervisord
    assert {Path(section.logfile).parent, Path(section.childlogdir)} == {made.log_dir}
    assert (Path(section.pidfile).parent, section.minfds) == (made.state_dir, 4096)
    assert [server_config["file"] for server_config in section.server_configs] == [f"{made.state_dir}/supervisor.sock"]
    assert client.serverurl == made.supervisor_url

    groups = {group.name: group.process_configs for group in section.process_group_configs}
    (watcher,) = groups.pop(WATCH)
    assert shlex.split(watcher.command)[4:] == [PYTHON, "-I", "-m", "heldar_mirror", "watch", "--directory", "/a b"]
    assert watcher.stderr_logfile == f"{made.log_dir}/watch.log"
    assert groups.keys() == {f"mirror-{camera_id}" for camera_id in programs_of}
    for camera_id, generation in programs_of.items():
        (program,) = groups[f"mirror-{camera_id}"]
        assert program.name == f"mirror-{camera_id}"
        assert shlex.split(program.command) == [
            *["setpriv", "--pdeathsig", "TERM", "--", PYTHON, "-I", "-S", str(RECORDER)],
            *[f"{made.specs_dir}/{camera_id}.spec", str(generation)],
        ]
        assert program.stdout_logfile == f"{made.log_dir}/mirror-{camera_id}.log"
        check_rules(program)


def check_rules(program: SimpleNamespace) -> None:
    """Check what holds for every program: how it is restarted, stopped and logged, and that it gets no secret key."""
    assert (program.autostart, program.autorestart, program.startsecs) == (True, RestartUnconditionally, 30)
    assert (program.stopsignal, program.stopwaitsecs) == (signal.SIGTERM, 8)
    assert (program.stopasgroup, program.killasgroup) == (False, True)
    assert (program.redirect_stderr, program.stderr_logfile) == (True, None)
    assert program.stdout_logfile_maxbytes > 0
    assert (program.umask, program.uid, program.directory) == (0o027, None, "/")
    assert program.environment == {"HELDAR_SECRET_KEY": ""}


def test_a_joined_supervisord_gets_user_prefix_and_umask(tmp_path: Path) -> None:
    """A joined supervisord has its own user and umask, so the stanza must name ours."""
    user = pwd.getpwuid(os.geteuid())
    made = settings(
        MIRROR_STATE_DIR=str(tmp_path),
        MIRROR_PROGRAMS_FILE=str(tmp_path / "mirror.conf"),
        MIRROR_PREFIX="second-",
        MIRROR_UMASK="077",
        MIRROR_USER=user.pw_name,
    )
    (tmp_path / "log").mkdir()
    (tmp_path / "supervisord.conf").write_text("[supervisord]\n[include]\nfiles=mirror.conf\n")
    made.programs_file.write_text(render_programs({"gate": 7}, made))
    section = parsed(ServerOptions(), tmp_path / "supervisord.conf").configroot.supervisord
    ((program,),) = (group.process_configs for group in section.process_group_configs)
    assert (program.name, program.uid, program.umask) == ("second-gate", user.pw_uid, 0o077)
    assert program.stdout_logfile == f"{tmp_path}/log/second-gate.log"


@pytest.mark.parametrize("executable", ["/opt/a b/py", "/opt/x ;y #z/py", "/opt/100%/py", "/o'p\"t\\/py", "/opt/;/#"])
def test_python_may_lie_at_an_awkward_path(executable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment may lie anywhere, and its path is no setting that we could refuse."""
    monkeypatch.setattr(programs, "PYTHON", executable)
    made = settings(MIRROR_STATE_DIR=str(tmp_path))
    section = parsed(ServerOptions(), render(made, {"gate": 1})).configroot.supervisord
    commands = [program.command for group in section.process_group_configs for program in group.process_configs]
    assert [shlex.split(command)[4] for command in commands] == [executable, executable]
