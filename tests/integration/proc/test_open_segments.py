"""Finding the segments that recorders' ffmpegs have open, by real processes."""

import os
import pwd
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mirror import new_home
from support.users import HELDAR_UID, STRANGER_UID, as_root, identity, python_for_all, run_as
from support.waiting import processes_of, wait_for

from heldar_mirror.errors import MirrorError
from heldar_mirror.proc.open_segments import OpenSegments
from heldar_mirror.proc.recorders import RECORDER, Ours, ours, recorders_of

# What a recorder's stand-in runs. ffmpeg's opens one file after another, a line of input each; `:` keeps it a child.
FFMPEG = """sh -c 'for path; do exec 9>"$path"; echo; read x; done' - {paths}; :"""
WAITS = "echo; read x"
LOOKS_UP_ITS_NAME = "( echo; read x )"

# How it is started: as our child, as one of another supervisord, and as an orphan.
CHILD = "exec {}"
GRANDCHILD = "{}; :"
ORPHAN = "exec 3<&0; {} <&3 &"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a stand-in for a camera's recorder, and returns it when it has begun.

    This process stands in for supervisord. It starts the recorder as a user id; `how` is shell code.
    """
    started = []

    def begin(camera_id: str, script: str, uid: int = os.geteuid(), how: str = CHILD) -> "subprocess.Popen[str]":
        command = ["sh", "-c", script, str(RECORDER), str(tmp_path / f"{camera_id}.spec"), "7"]
        process = subprocess.Popen(
            ["sh", "-c", how.format(shlex.join(command))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **identity(uid),
        )
        started.append(process)
        assert process.stdout
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.communicate()  # its input ends, and so does all that reads it


def by(specs_dir: Path) -> Ours:
    """Return what makes a process a recorder with a launch spec in this directory: it is our child."""
    return ours(os.getpid(), specs_dir, None)


def ffmpeg(*paths: Path) -> str:
    return FFMPEG.format(paths=" ".join(map(str, paths)))


def segment(tmp_path: Path, camera_id: str, second: int = 0) -> Path:
    path = tmp_path / camera_id / f"20260101_0000{second:02}.mp4"
    path.parent.mkdir(exist_ok=True)
    return path


def test_a_segment_is_found_by_its_recorder_and_without_it(start: Start, tmp_path: Path) -> None:
    """The recorder's process id says where to look; who has none searches all processes."""
    path = segment(tmp_path, "gate")
    recorder = start("gate", ffmpeg(path))
    for recorders in ({"gate": recorder.pid}, None):
        segments = OpenSegments()
        assert {camera_id: each.path for camera_id, each in segments.look(by(tmp_path), recorders).items()} == {
            "gate": str(path)
        }
        assert (segments.ffmpegs, segments.refused) == ({"gate"}, 0)


def test_the_next_segment_is_found(start: Start, tmp_path: Path) -> None:
    """A recorder's ffmpeg closes one segment and opens another."""
    first, second = (segment(tmp_path, "gate", number) for number in range(2))
    recorder = start("gate", ffmpeg(first, second))
    segments = OpenSegments()
    assert segments.look(by(tmp_path), {"gate": recorder.pid})["gate"].path == str(first)
    assert recorder.stdin
    recorder.stdin.write("\n")
    recorder.stdin.flush()
    wait_for(lambda: segments.look(by(tmp_path), {"gate": recorder.pid})["gate"].path == str(second))


def test_a_recorder_that_waits_has_no_other_searched_for(start: Start, tmp_path: Path) -> None:
    """A camera may be away for hours, and a search of all processes at each look would cost too much."""
    waiting = start("yard", WAITS)
    start("gate", ffmpeg(segment(tmp_path, "gate")))
    segments = OpenSegments()
    assert segments.look(by(tmp_path), {"yard": waiting.pid}) == {}
    assert segments.ffmpegs == set()


def test_a_recorder_that_looks_up_a_name_has_no_ffmpeg(start: Start, tmp_path: Path) -> None:
    """Its child is a fork of its own."""
    recorder = start("gate", LOOKS_UP_ITS_NAME)
    for recorders in ({"gate": recorder.pid}, None):
        segments = OpenSegments()
        assert segments.look(by(tmp_path), recorders) == {}
        assert segments.ffmpegs == set()


@pytest.mark.parametrize("pid", [0, "ended", "other"])
def test_a_recorder_that_is_not_where_it_should_be_is_searched_for(
    start: Start, tmp_path: Path, pid: int | str
) -> None:
    """supervisord may not have named a process yet, or a process that has ended since. Its number may be used again."""
    path = segment(tmp_path, "gate")
    start("gate", ffmpeg(path))
    if pid == "ended":
        ended = start("gate", "echo")
        ended.communicate()
        pid = ended.pid
    elif pid == "other":
        pid = start("yard", LOOKS_UP_ITS_NAME).pid
    assert OpenSegments().look(by(tmp_path), {"gate": int(pid)})["gate"].path == str(path)


@pytest.mark.parametrize(
    ("uid", "how"),
    [
        (os.geteuid(), GRANDCHILD),
        (os.geteuid(), ORPHAN),
        pytest.param(STRANGER_UID, CHILD, marks=as_root),
        pytest.param(STRANGER_UID, GRANDCHILD, marks=as_root),
        pytest.param(STRANGER_UID, ORPHAN, marks=as_root),
    ],
)
def test_what_looks_like_a_recorder_is_none(start: Start, tmp_path: Path, uid: int, how: str) -> None:
    """A recorder is a child of our supervisord, and runs as our user, whatever command lines others have."""
    with new_home() as home:
        home.chmod(0o777)
        path = segment(home, "gate")
        path.parent.chmod(0o777)
        start("gate", ffmpeg(path), uid, how)
        waiting = start("yard", WAITS)
        # The number that supervisord gave its recorder may be that of the fake by now.
        numbers = processes_of(str(tmp_path / "gate.spec"))
        assert numbers
        for recorders in (None, {"yard": waiting.pid}, *({"gate": pid} for pid in numbers)):
            segments = OpenSegments()
            assert segments.look(by(tmp_path), recorders) == {}
            assert (segments.ffmpegs, segments.refused) == (set(), 0)
        assert recorders_of(os.getpid(), tmp_path, None) == {"yard": 7}


@as_root
@pytest.mark.parametrize("user", ["games", "no-such-user"])
def test_a_recorder_may_run_as_the_user_of_the_settings(start: Start, tmp_path: Path, user: str) -> None:
    """A joined supervisord is root's, and its recorders are not."""
    start("gate", WAITS, pwd.getpwnam("games").pw_uid)
    assert recorders_of(os.getpid(), tmp_path, user) == ({"gate": 7} if user == "games" else {})


# A process that has a segment open, and becomes a stranger's, who hides it from others, when it gets a line.
BECOMES_A_STRANGERS = """
import ctypes, os, sys
file = open(sys.argv[1], "w")
print(flush=True)
sys.stdin.readline()
os.setuid(int(sys.argv[2]))
ctypes.CDLL(None).prctl(4, int(sys.argv[3]), 0, 0, 0)
print(flush=True)
sys.stdin.readline()
"""


@as_root
@pytest.mark.parametrize("allowed", ["0", "1"])
def test_a_process_that_is_remembered_is_not_mistaken_for_a_strangers(
    start: Start, tmp_path: Path, allowed: str
) -> None:
    """The number of an ffmpeg that has ended may be that of a stranger's process, which may read the same segment."""
    path = segment(tmp_path, "gate")
    command = shlex.join([sys.executable, "-c", BECOMES_A_STRANGERS, str(path), str(STRANGER_UID), allowed])
    recorder = start("gate", f"{command}; :")
    segments = OpenSegments()
    assert segments.look(by(tmp_path)).keys() == {"gate"}
    recorder.kill()
    recorder.wait()
    assert segments.look(by(tmp_path)).keys() == {"gate"}
    assert recorder.stdin
    assert recorder.stdout
    recorder.stdin.write("\n")
    recorder.stdin.flush()
    recorder.stdout.readline()
    assert segments.look(by(tmp_path)) == {}


def test_without_supervisord_nothing_is_open(start: Start, tmp_path: Path) -> None:
    start("gate", ffmpeg(segment(tmp_path, "gate")))
    segments = OpenSegments()
    assert segments.look(by(tmp_path)).keys() == {"gate"}
    assert segments.look(None) == {}


def test_a_supervisord_that_can_not_be_seen_is_not_one_without_recorders(tmp_path: Path) -> None:
    """It may be in another container, or have ended just now."""
    ended = subprocess.Popen("true")
    ended.wait()
    with pytest.raises(MirrorError, match=f"recorders of supervisord, process {ended.pid}, can't be seen"):
        OpenSegments().look(ours(ended.pid, tmp_path, None))


# A look as the user games, who sees no process of others: /proc is mounted anew with hidepid.
LOOK_WITH_HIDEPID = """
mount -t proc -o hidepid=2 proc /proc
exec setpriv --reuid games --regid games --clear-groups "$0" -c '
import pathlib, sys
from heldar_mirror.proc.open_segments import OpenSegments
from heldar_mirror.proc.recorders import ours
supervisord, specs, user = sys.argv[1:]
print(list(OpenSegments().look(ours(int(supervisord), pathlib.Path(specs), user or None))))
' "$@"
"""


@as_root
@pytest.mark.parametrize("user", ["games", ""])
def test_recorders_are_found_though_their_supervisord_is_hidden(start: Start, user: str, tmp_path: Path) -> None:
    """A joined supervisord is root's. Who does not know what user its recorders have can't tell that there are none."""
    with new_home() as home:
        home.chmod(0o777)
        path = segment(home, "gate")
        path.parent.chmod(0o777)
        start("gate", ffmpeg(path), pwd.getpwnam("games").pw_uid)
        command = ["sh", "-ec", LOOK_WITH_HIDEPID, python_for_all(), str(os.getpid()), str(tmp_path), user]
        result = run_as(0, ["unshare", "--mount", *command])
    if user:
        assert result.stdout == "['gate']\n", result.stderr
    else:
        assert f"the recorders of supervisord, process {os.getpid()}, can't be seen" in result.stderr


# What a user's look needs: a stand-in for a recorder, and a look at it with a pause in between.
AS_USER = """
import os, pathlib, subprocess, sys
from heldar_mirror.proc.open_segments import OpenSegments
from heldar_mirror.proc.recorders import RECORDER, ours
specs = pathlib.Path(sys.argv[1])
recorder = subprocess.Popen(["sh", "-c", SCRIPT, str(RECORDER), str(specs / "gate.spec"), "7"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
recorder.stdout.readline()
def look(pause):
    segments = OpenSegments(pause)
    return list(segments.look(ours(os.getpid(), specs, None))), segments.refused
"""


def look_as_user(home: Path, recorder: str, then: str) -> str:
    """Start a stand-in for a recorder as Heldar's user, run Python code as that user, and return what it prints."""
    home.chmod(0o777)
    code = f"SCRIPT = {recorder!r}\n{AS_USER}\n{then}\nrecorder.kill()\nrecorder.communicate()"
    result = run_as(HELDAR_UID, [python_for_all(), "-c", code, str(home)])
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@as_root
def test_a_process_that_ends_is_not_one_that_can_not_be_seen() -> None:
    """While Linux ends a process, its files are root's to see, and it is no zombie yet. ffmpegs that fail do that."""
    fails = "echo; while :; do for i in 1 2 3 4; do cat /no-such-file 2>&- & done; wait; done"
    look_often = "print(sum(look(lambda _: None)[1] for _ in range(2000)))"
    with new_home() as home:
        assert look_as_user(home, fails, look_often) == "0"


# A process that Linux lets nobody look into until it gets a line, as between two states.
CLOSED = """
import ctypes, sys
prctl = ctypes.CDLL(None).prctl
file = open(sys.argv[1], "w")
for allowed in (0, 1):
    prctl(4, allowed, 0, 0, 0)
    print(flush=True)
    sys.stdin.readline()
"""


@as_root
def test_what_can_not_be_seen_is_looked_at_twice() -> None:
    """A process may be between two states. After a pause its files are seen; if not, that is told."""
    then = """
print(look(lambda _: None))
def open_up(_):
    recorder.stdin.write("\\n")
    recorder.stdin.flush()
    recorder.stdout.readline()
print(look(open_up))
"""
    with new_home() as home:
        path = segment(home, "gate")
        path.parent.chmod(0o777)
        recorder = f"{python_for_all()} -c {shlex.quote(CLOSED)} {path}; :"
        assert look_as_user(home, recorder, then).splitlines() == ["([], 1)", "(['gate'], 0)"]
