"""A mirror seen from outside: its processes, what they write, and whether this is what the table asks for."""

import contextlib
import fcntl
import os
import re
import signal
import xmlrpc.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from supervisor.xmlrpc import SupervisorTransport

from support.mirror import Mirror
from support.waiting import PATIENCE_SECONDS, wait_for

SHOWN_PASSWORD = "p%40ss%2Fw%3Ard"


class Wanted(NamedTuple):
    """What one camera's recorder should run with."""

    url: str
    segment_seconds: int = 60


def hikvision(port: int, segment_seconds: int = 60) -> Wanted:
    """Return what should run for a camera that `Database.add` made."""
    return Wanted(f"rtsp://admin:{SHOWN_PASSWORD}@127.0.0.1:{port}/Streaming/Channels/101", segment_seconds)


def processes_of_mirror(mirror: Mirror) -> dict[int, str]:
    """Return the command lines of all processes of a mirror, by process id. All inherited its PATH."""
    marker = f"PATH={mirror.env['PATH']}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = command_line(int(entry.name))
    return found


def command_line(pid: int) -> str:
    """Return a process's arguments, separated by spaces; an empty text if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def parent(pid: int) -> int:
    """Return the id of a process's parent; 0 if the process has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def segment_writers(root: Path) -> dict[str, list[int]]:
    """Return the processes of any user that have a segment open, by camera."""
    found: dict[str, list[int]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                paths = {path for fd in os.listdir(process / "fd") if (path := opened(process / "fd" / fd))}
                for path in paths:
                    if path.suffix == ".mp4" and path.parent.parent == root:
                        found.setdefault(path.parent.name, []).append(int(process.name))
    return found


def opened(descriptor: Path) -> Path | None:
    """Return the file behind a descriptor; None if it was closed meanwhile."""
    with contextlib.suppress(OSError):
        return descriptor.readlink()
    return None


def supervisor(mirror: Mirror) -> Any:
    """Return the XML-RPC interface of the mirror's supervisord."""
    transport = SupervisorTransport(None, None, f"unix://{mirror.state}/supervisor.sock")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def watcher_pid(mirror: Mirror) -> int:
    """Return the process id of the watcher; 0 while it is down."""
    try:
        return int(supervisor(mirror).getProcessInfo("watch")["pid"])
    except (OSError, xmlrpc.client.Fault):
        return 0


def log_of(mirror: Mirror, program: str) -> str:
    """Return a program's log; an empty text if there is none."""
    log = mirror.logs / f"{program}.log"
    return log.read_text() if log.exists() else ""


@contextlib.contextmanager
def frozen_watcher(mirror: Mirror) -> Iterator[int]:
    """Freeze the watcher until the block ends; only SIGKILL still works on it.

    It is not frozen during a reconcile, because it would then hold the lock that every other reconcile waits for.
    """
    pid: int = wait_for(lambda: watcher_pid(mirror))
    try:
        with (mirror.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: "State:\tT" in Path(f"/proc/{pid}/status").read_text(), every=0.01)
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def what_is_wrong(mirror: Mirror, wanted: Mapping[str, Wanted]) -> list[str]:
    """Return all differences between what is wanted and the launch specs, programs file, supervisord and processes."""
    try:
        infos = {info["group"]: info for info in supervisor(mirror).getAllProcessInfo()}
        supervisord = supervisor(mirror).getPID()
    except (OSError, xmlrpc.client.Error) as error:
        return [f"supervisord: {error}"]
    specs = {path.stem: path.read_text() for path in (mirror.state / "specs").iterdir() if path.suffix == ".spec"}
    generations = {name: re.findall(r"^generation=(\d+)$", text, re.MULTILINE)[0] for name, text in specs.items()}
    stanzas = dict(re.findall(r"/specs/(\S+)\.spec (\d+)$", (mirror.state / "programs.conf").read_text(), re.MULTILINE))
    programs = {group.removeprefix("mirror-") for group in infos if group != "watch"}
    writing = segment_writers(mirror.root)
    wrong = [
        f"{what}: {sorted(found)}, not {sorted(wanted)}"
        for what, found in {"specs": specs, "stanzas": stanzas, "programs": programs, "written": writing}.items()
        if set(found) != set(wanted)
    ]
    if stanzas != generations:
        wrong.append(f"generations: {stanzas} in the programs file, {generations} in the specs")

    wrong += [
        f"{group}: {info['statename']} {info['description']}: {log_of(mirror, group)[-300:]}"
        for group, info in infos.items()
        if info["statename"] not in ("STARTING", "RUNNING", "STOPPED" if group == "watch" else "")
    ]

    known = {supervisord, infos["watch"]["pid"]}
    # The watcher's children are the pruner, and short-lived processes that look at the volume.
    known |= {pid for pid in processes_of_mirror(mirror) if parent(pid) == infos["watch"]["pid"]}
    for name in wanted.keys() & specs.keys() & programs & writing.keys():
        recorder, ffmpegs = infos[f"mirror-{name}"]["pid"], writing[name]
        known |= {recorder, *ffmpegs}
        if not command_line(recorder).endswith(f"/{name}.spec {generations[name]}"):
            wrong.append(f"{name}: its recorder is {recorder}: {command_line(recorder)}")
        if [parent(pid) for pid in ffmpegs] != [recorder]:
            wrong.append(f"{name}: written by {ffmpegs} of {[parent(pid) for pid in ffmpegs]}, not of {recorder}")
        if f"\nurl={wanted[name].url}\n" not in specs[name]:
            wrong.append(f"{name}: not the URL in its spec")
        # The credentials in a command line may be replaced by stars.
        asked = f"@{wanted[name].url.rpartition('@')[2]} ", f" -segment_time {wanted[name].segment_seconds} "
        wrong += [
            f"{name}: no {text} in {command_line(pid)}"
            for text in asked
            for pid in ffmpegs
            if text not in command_line(pid)
        ]
    others = {
        pid: command
        for pid, command in processes_of_mirror(mirror).items()
        if pid not in known and not command.endswith("heldar_mirror up")
    }
    if others:
        wrong.append(f"unexpected processes: {others}")
    return wrong


def wait_until_right(mirror: Mirror, wanted: Mapping[str, Wanted], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until exactly the wanted cameras are recorded, each by one ffmpeg. A failure lists what is wrong."""
    wrong: list[str] = []

    def is_right() -> bool:
        wrong[:] = what_is_wrong(mirror, wanted)
        return not wrong

    wait_for(is_right, seconds, every=0.2, seen=lambda: "\n".join(wrong))
