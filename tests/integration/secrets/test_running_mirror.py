"""A running mirror shows no credential: not in what it writes, prints or answers, nor in /proc."""

import contextlib
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import imageio_ffmpeg
import pytest
from supervisor.xmlrpc import SupervisorTransport
from support import HERE
from support.camera import Camera
from support.examples import KEY, seal
from support.mirror import USER, Mirror
from support.reflecting_camera import reflecting_camera
from support.running import file_contents
from support.secrets import ENCODED, OTHER_KEY, PASSWORDS, RAW, RIGHT, SECRETS, leaks, modes, shown, with_key
from support.specs_on_tmpfs import specs_on_tmpfs
from support.users import MirrorForAll, as_root, new_mirror
from support.waiting import wait_for

from heldar_mirror.env_file import escape_env
from heldar_mirror.state.secrets import SECRETS_FILE

# The fixture runs a mirror's whole life before the first test looks at what it showed.
pytestmark = pytest.mark.timeout(900)
RECORDED = ("built", "sealed", "explicit")
# What the reflecting camera does, by the id of the camera.
REFLECTED = {
    f"told_{number}": form
    for number, form in enumerate(
        ("basic/mixed", "basic/longer", "basic/cut", "basic/header", "basic/away", "digest/header", "digest/digits")
    )
}
FAILING = ("wrong", "sealed_wrong", "path", "echo", "algorithm", *ENCODED, *RAW, *REFLECTED)


class Processes:
    """Looks at all processes of a test's home again and again, as a context manager."""

    # A secret that a command line shows for longer is not being hidden. To hide it takes 0.1 s, or many times as long
    # on a busy machine. `settle` waits until this time is over or the secret is hidden.
    HIDING_SECONDS = 60

    def __init__(self, home: Path) -> None:
        self.marker = home.name.encode()
        self.environments: dict[str, bytes] = {}
        self.exposed: dict[str, float] = {}
        self.lasting: dict[str, bytes] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Processes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            exposed = {}
            for pid in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError):
                    # Command line first: until a child runs its own program, it has its parent's command line.
                    command = Path("/proc", pid, "cmdline").read_bytes()
                    environment = Path("/proc", pid, "environ").read_bytes()
                    if self.marker not in command and self.marker not in environment:
                        continue
                    words = command.split(b"\0")
                    name = f"{pid} {b' '.join(words[:8]).decode(errors='replace')}"
                    if leaks({name: command}):
                        exposed[name] = self.exposed.get(name, time.monotonic())
                        if time.monotonic() - exposed[name] > self.HIDING_SECONDS:
                            self.lasting[name] = command
                    if not was_given_the_key(words):
                        self.environments[name] = environment
            self.exposed = exposed

    def settle(self) -> None:
        """Wait until each secret that a command line shows now is hidden, or has been there for too long."""
        assert self._thread.is_alive()
        now = set(self.exposed)
        wait_for(lambda: not now & self.exposed.keys() - self.lasting.keys(), seen=lambda: self.exposed)


def was_given_the_key(words: list[bytes]) -> bool:
    """Return whether a command line is that of a command that got the key in its environment."""
    given = {b"up", b"reconcile", b"status"}
    return any(words[at] == b"heldar_mirror" and words[at + 1] in given for at in range(len(words) - 1))


@dataclass
class Seen:
    """All that a mirror wrote and showed, by where that was, and owners and modes of its files while it ran."""

    user: str
    specs: Path
    files: dict[str, bytes] = field(default_factory=dict)
    told: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    environments: dict[str, bytes] = field(default_factory=dict)
    lasting: dict[str, bytes] = field(default_factory=dict)
    hidden: dict[str, bytes] = field(default_factory=dict)
    digests: set[str] = field(default_factory=set)
    modes: dict[Path, tuple[str, str]] = field(default_factory=dict)


class OddCamera(Camera):
    """An RTSP camera whose password has all kinds of characters."""

    def plug_in(self) -> None:
        command = ["/usr/bin/python3", str(HERE / "rtsp_camera.py"), str(self.port), USER, RIGHT]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline().split()[1])


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Return a port that refuses connections, and that no other process can get meanwhile."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler, bind_and_activate=False) as server:
        server.server_bind()
        yield int(server.server_address[1])


def add_cameras(mirror: Mirror, port: int, closed: int, echo: int) -> None:
    """Add cameras with all kinds of passwords: some record, some fail, some can't be used, and one wants no mirror."""
    add = mirror.database.add
    right, there = quote(RIGHT, safe=""), f"127.0.0.1:{port}"
    add("built", rtsp_port=port, password=RIGHT)
    add("sealed", rtsp_port=port, password=seal(RIGHT.encode()), vendor="dahua")
    query = f"user=admin&password={quote_plus(PASSWORDS['query'])}&token={PASSWORDS['token']}"
    url = f"rtsp://{USER}:{right}@{there}/Streaming/Channels/102?{query}"
    add("explicit", vendor="generic", main_stream_url=seal(url.encode()))
    add("changing", rtsp_port=port, password=RIGHT)

    add("wrong", rtsp_port=port, password=PASSWORDS["wrong"])
    add("sealed_wrong", rtsp_port=port, password=seal(PASSWORDS["sealed_wrong"].encode()))
    place = f"user=admin_password={PASSWORDS['path']}_channel=1_stream=0.sdp"
    add("path", main_stream_url=f"rtsp://{USER}:{right}@{there}/{place}")
    add("echo", main_stream_url=f"rtsp://127.0.0.1:{echo}/x?{query}")
    asked = f"password={quote_plus(PASSWORDS['query'])}"
    add("algorithm", main_stream_url=f"rtsp://127.0.0.1:{echo}/algorithm?{asked}")
    for name, form in REFLECTED.items():
        reflected = quote(PASSWORDS["reflected"], safe="")
        add(name, main_stream_url=f"rtsp://{USER}:{reflected}@127.0.0.1:{echo}/{form}")
    for name in ENCODED:
        add(name, rtsp_port=closed, password=PASSWORDS[name])
    for name in RAW:
        # With a raw '/' ffmpeg takes the user name for the host, so the user name is an address of loopback.
        add(name, main_stream_url=f"rtsp://127.0.0.1:{PASSWORDS[name]}@127.0.0.1:{closed}/x")

    add("other_key", password=seal(PASSWORDS["other_key"].encode(), OTHER_KEY))
    add("other_key_url", main_stream_url=seal(f"rtsp://a:{PASSWORDS['other_key']}@127.0.0.1/".encode(), OTHER_KEY))
    add("white", main_stream_url=f"rtsp://a:{PASSWORDS['white']}@127.0.0.1/")
    add("scheme", main_stream_url=f"ftp://a:{PASSWORDS['scheme']}@127.0.0.1/")
    add("blob", password=PASSWORDS["blob"].encode())
    add("long", main_stream_url=f"rtsp://a:{PASSWORDS['long']}@127.0.0.1/{'x' * 3000}")
    add("vague", vendor="generic", password=PASSWORDS["vague"])
    add("unwanted", mirror_enabled=0, password=PASSWORDS["unwanted"])
    add("no_text")
    code = (PASSWORDS["no_text"].encode() + b"\xff").hex()
    mirror.database.execute(f"UPDATE cameras SET password = CAST(x'{code}' AS TEXT) WHERE id = 'no_text'")  # noqa: S608


def published(mirror: Mirror) -> dict[str, dict[str, Any]]:
    """Return what the watcher published of each camera."""
    report = json.loads((mirror.state / "status/status.json").read_text())
    return {found["camera_id"]: found for found in report["cameras"]}


def all_of(mirror: Mirror, camera_ids: Iterable[str], what: str, *values: str) -> bool:
    """Return whether `what` of each camera is set, or is one of the values if any are given."""
    report = published(mirror)  # a watcher that has just started has published no camera
    found = [report[name][what] if name in report else None for name in camera_ids]
    return all(value in values if values else value for value in found)


def look(seen: Seen, mirror: Mirror, moment: str, *commands: str) -> None:
    """Record what commands show at a moment, what supervisord answers, and what the files hold."""
    told = shown(*(mirror.run(*command.split(), code=None) for command in commands))
    # One supervisorctl that reads its commands is faster than one for each command.
    wanted = ["status", "avail", "maintail", "tail watch stderr", *(f"tail mirror-{name}" for name in FAILING), "exit"]
    told["supervisorctl"] = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(mirror.state / "supervisord.conf")],
        input="\n".join(wanted),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    ).stdout.encode()
    seen.told |= {f"{moment}: {name}": text for name, text in told.items()}
    seen.answers |= {f"{moment}: {name}": answer for name, answer in answers(mirror).items()}
    for path in mirror.state.rglob("*"):
        with contextlib.suppress(OSError):  # the file may just be replaced
            seen.files[f"{moment}: {path}"] = path.read_bytes()


def answers(mirror: Mirror) -> dict[str, bytes]:
    """Return supervisord's answers to all possible questions, by the question."""

    def ask(method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{mirror.state}/supervisor.sock")
        try:
            return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport), method)(*arguments)
        except xmlrpc.client.Error as error:
            return str(error)
        finally:
            transport.close()

    questions: list[tuple[Any, ...]] = [
        *(("supervisor.getAllProcessInfo",), ("supervisor.getAllConfigInfo",), ("supervisor.getIdentification",)),
        *(("supervisor.readLog", 0, 0), ("supervisor.readProcessStderrLog", "watch", 0, 0)),
    ]
    for info in ask("supervisor.getAllProcessInfo"):
        program = f"{info['group']}:{info['name']}"
        questions.append(("supervisor.readProcessStdoutLog", program, 0, 0))
        questions.append(("supervisor.tailProcessStdoutLog", program, 0, 100_000))
    return {" ".join(map(str, question)): str(ask(*question)).encode() for question in questions}


def damage(mirror: Mirror) -> None:
    """Overwrite the database from its second page on, with secrets that must not be shown."""
    whole = mirror.database.path.read_bytes()
    garbage = b"".join(SECRETS) * (len(whole) // 1000)
    broken = mirror.database.path.with_name("broken")
    broken.write_bytes(whole[:4096] + garbage[: len(whole) - 4096])
    mirror.database.path.rename(mirror.home / "whole.db")
    broken.rename(mirror.database.path)
    wait_for(lambda: "cannot read the cameras" in mirror.watch_log())


def mend(mirror: Mirror) -> None:
    (mirror.home / "whole.db").rename(mirror.database.path)
    wait_for(lambda: "database: all well again" in mirror.watch_log())


def change_by_hand(seen: Seen, mirror: Mirror, port: int) -> None:
    """Change the table, and have commands show and apply the change while no watcher runs."""
    mirror.supervisorctl("stop", "watch")
    before = f"{USER}:{quote(RIGHT, safe='')}@127.0.0.1:{port}/Streaming/Channels"
    mirror.database.update("changing", password=PASSWORDS["newer"])
    mirror.database.update("explicit", main_stream_url=f"rtsp://{before}/101?pwd={PASSWORDS['newest']}")
    mirror.database.update("sealed", record_stream="sub")
    mirror.database.add("late", rtsp_port=port, password=PASSWORDS["late"])
    mirror.database.execute("DELETE FROM cameras WHERE id = 'raw_slash'")
    plans = ("reconcile --dry-run", "reconcile --dry-run --json", "reconcile")
    look(seen, mirror, "by hand", "status", "status --json", *plans)
    mirror.database.update("changing", password=PASSWORDS["newest"])
    mirror.database.execute("DELETE FROM cameras WHERE id = 'raw_hash'")
    look(seen, mirror, "by hand, again", "reconcile --json built")
    mirror.supervisorctl("start", "watch")
    wait_for(lambda: all_of(mirror, ("late",), "last_error") and all_of(mirror, RECORDED, "segment"))


def live(seen: Seen, mirror: Mirror, odd: Camera, closed: int, echo: int) -> None:
    """Run a mirror through everything that could make it show a secret."""
    add_cameras(mirror, odd.port, closed, echo)
    with Processes(mirror.home) as processes, mirror.up(watched=True):
        wait_for(lambda: all_of(mirror, RECORDED, "segment"))
        wait_for(lambda: all_of(mirror, FAILING, "last_error"))
        look(seen, mirror, "at work", "status", "status --json")
        seen.modes = modes(mirror.state) | modes(seen.specs)
        seen.hidden = {path.name: path.read_bytes() for path in seen.specs.iterdir()}
        processes.settle()
        if seen.user == "root":
            odd.unplug()
        damage(mirror)
        look(seen, mirror, "damaged", "status", "reconcile")
        mend(mirror)
        mirror.database.update("changing", password=PASSWORDS["new"])
        wait_for(lambda: "~ changing" in mirror.watch_log())
        if seen.user == "root":
            wait_for(lambda: all_of(mirror, RECORDED, "activity", "waiting", "failed"))
            odd.plug_in()
            wait_for(lambda: all_of(mirror, RECORDED, "segment"))
        processes.settle()
        change_by_hand(seen, mirror, odd.port)
        processes.settle()
    seen.environments, seen.lasting = processes.environments, processes.lasting
    seen.told["up"] = (mirror.home / "up.log").read_bytes()
    ours = file_contents(mirror.state, mirror.root, seen.specs, mirror.home / "tmp", mirror.home / "recordings")
    seen.files |= {str(path): text for path, text in ours.items() if not is_for_secrets(path, seen)}


def is_for_secrets(path: Path, seen: Seen) -> bool:
    return path.parent == seen.specs and (path.suffix == ".spec" or path.name == SECRETS_FILE)


@pytest.fixture(scope="module", params=["root", "games"])
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """What a mirror with a key shows: as root with Debian's ffmpeg, or as a different user with a new one."""
    user = request.param
    odd = OddCamera()
    with contextlib.ExitStack() as stack:
        mirror: Mirror = stack.enter_context(new_mirror(Mirror if user == "root" else MirrorForAll))
        with_key(mirror)
        mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg" if user == "root" else imageio_ffmpeg.get_ffmpeg_exe()
        if user != "root":
            mirror.env["HELDAR_MIRROR_USER"] = user
        made = Seen(user, stack.enter_context(specs_on_tmpfs(mirror)))
        closed, echo = stack.enter_context(refusing_port()), stack.enter_context(reflecting_camera())
        made.digests = echo.digests
        stack.callback(odd.unplug)
        odd.plug_in()
        live(made, mirror, odd, closed, echo.port)
        yield made


@as_root
@pytest.mark.slow
def test_no_file_that_the_mirror_wrote_holds_a_secret(seen: Seen) -> None:
    """No file holds a secret but the launch specs and the key's own file: not the state, logs, status, programs,
    segments or temporary files."""
    names = {Path(name).name for name in seen.files}
    assert names >= {
        "programs.conf",
        "supervisord.conf",
        "supervisord.log",
        "status.json",
        "watch.log",
        "mirror-wrong.log",
    }
    assert leaks(seen.files) == []
    logs = b"".join(text for name, text in seen.files.items() if "/log/" in name)
    for told in (
        b"401 Unauthorized",
        b"Connection refused",
        b"not known: DESCRIBE",
        b"Digest with rtsp://",
        b"***",
        b"~ changing",
    ):
        assert told in logs
    # The search can find secrets: they are in the files that may hold them.
    hidden = b"".join(seen.hidden.values())
    usable = {
        name: text
        for name, text in PASSWORDS.items()
        if name in {*ENCODED, *RAW, "right", "wrong", "sealed_wrong", "query"}
    }
    assert not [name for name, text in usable.items() if quote(text, safe="").encode() not in hidden]
    assert escape_env(KEY).encode() in hidden


@as_root
@pytest.mark.slow
def test_no_digest_of_a_password_is_shown(seen: Seen) -> None:
    """No file and no command shows the response to a challenge, by which a password can be guessed, though the camera
    repeats it."""
    assert seen.digests
    texts = b"".join([*seen.files.values(), *seen.told.values(), *seen.answers.values()])
    assert b"DESCRIBE failed: 404" in texts
    assert not [digest for digest in seen.digests if digest[:12].encode() in texts]


@as_root
@pytest.mark.slow
def test_no_command_shows_a_secret(seen: Seen) -> None:
    """`up`, `status`, `reconcile`, `--dry-run`, `--json` and supervisorctl show no secret, with a watcher and without
    one."""
    assert leaks(seen.told) == []
    told = b"\n".join(seen.told.values())
    for text in (
        b"~ changing",
        b"    credentials",
        b"+ late",
        b"- raw_slash",
        b"rtsp://***@127.0.0.1",
        b"mirror-wrong ",
        b"failed",
    ):
        assert text in told
    for text in (
        b"is sealed and can't be opened",
        b"cannot read the cameras",
        b"401 Unauthorized",
        b"+ -i rtsp://***@",
    ):
        assert text in told


@as_root
@pytest.mark.slow
def test_supervisord_knows_no_secret(seen: Seen) -> None:
    """No answer of supervisord over XML-RPC holds a secret."""
    assert leaks(seen.answers) == []
    assert b"start_recorder.py" in seen.answers["at work: supervisor.getAllConfigInfo"]
    assert b"mirror-wrong" in seen.answers["at work: supervisor.getAllProcessInfo"]
    assert b"401 Unauth" in seen.answers["at work: supervisor.readProcessStdoutLog mirror-wrong:mirror-wrong 0 0"]


@as_root
@pytest.mark.slow
def test_no_process_has_a_secret_in_its_environment(seen: Seen) -> None:
    """Neither supervisord nor the watcher, recorders, ffmpegs or helpers have a secret in their environment. Only
    commands that were given one do."""
    commands = "\n".join(seen.environments)
    for kind in ("supervisor.supervisord", "heldar_mirror watch", "start_recorder.py", "ffmpeg"):
        assert kind in commands
    assert leaks(seen.environments) == []


@as_root
@pytest.mark.slow
def test_no_command_line_shows_a_secret_for_long(seen: Seen) -> None:
    """Secrets in ffmpeg's command line are overwritten, whether it records, fails, is revived or has new
    credentials."""
    assert leaks(seen.lasting) == []


@as_root
@pytest.mark.slow
def test_secrets_lie_on_the_tmpfs_for_their_user_alone(seen: Seen) -> None:
    """Launch specs and key are on the tmpfs with mode 0600, in a directory of mode 0700. None is in the state
    directory."""
    private = {path: found for path, found in seen.modes.items() if is_for_secrets(path, seen)}
    assert {path.name for path in private} >= {"built.spec", "wrong.spec", "echo.spec", SECRETS_FILE}
    assert set(private.values()) == {(seen.user, "-rw-------")}
    assert seen.modes[seen.specs] == (seen.user, "drwx------")
    assert not [path for path in seen.modes if path.suffix == ".spec" and path not in private]
    assert {owner for owner, _ in seen.modes.values()} == {seen.user}
