"""Calls to supervisord over XML-RPC. One request asks about many programs, or changes them."""

import http.client
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from supervisor.states import STOPPED_STATES, ProcessStates
from supervisor.xmlrpc import Faults, SupervisorTransport

from heldar_mirror.errors import NoSupervisordError, SupervisordError
from heldar_mirror.proc.listener import listener
from heldar_mirror.proc.processes import children
from heldar_mirror.proc.recorders import Ours, ours
from heldar_mirror.settings import WATCH, Settings

# A stop is waited for this long: the stanzas' stopwaitsecs of 8 s, and 12 s for the kill on a busy machine.
STOP_TIMEOUT_SECONDS = 8 + 12
POLL_SECONDS = 0.2

# The faults of calls that came too late. The caller looks at the state again, so they do no harm.
HARMLESS = {
    *(Faults.NOT_RUNNING, Faults.ALREADY_STARTED, Faults.STILL_RUNNING),
    *(Faults.ALREADY_ADDED, Faults.BAD_NAME),
}

# The states of programs that failed for good. A program that ran for long passes through EXITED before supervisord
# restarts it at once. To start it then too is harmless.
FAILED = ("FATAL", "EXITED")


@dataclass(frozen=True)
class Process:
    """A program's process as supervisord describes it. `since` is when it began, or ended if it is down (Unix seconds).
    `pid` is 0 if there is no process, or if supervisord did not name it."""

    state: str
    since: int
    pid: int

    @property
    def is_up(self) -> bool:
        """Whether a process was started and is not known to have ended."""
        return self.state in {"STARTING", "RUNNING"}

    @property
    def is_down(self) -> bool:
        """Whether there is no process, and supervisord is not about to start one."""
        return getattr(ProcessStates, self.state) in STOPPED_STATES


@dataclass(frozen=True)
class Difference:
    """The groups, not only ours, in which supervisord's files differ from what is active."""

    added: frozenset[str]
    changed: frozenset[str]
    removed: frozenset[str]


class Gateway:
    """Calls to one supervisord. Each makes a new connection, since a transport is useless after a failed connect.

    Each raises SupervisordError if supervisord does not answer, or refuses.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.supervisor_url
        self._username = settings.supervisor_username
        self._password = settings.supervisor_password

    def reload(self) -> Difference:
        """Have supervisord read its files again, and return the difference. Nothing is applied yet."""
        ((added, changed, removed),) = self._call(lambda proxy: proxy.supervisor.reloadConfig())
        return Difference(frozenset(added), frozenset(changed), frozenset(removed))

    def greet(self) -> None:
        """Check that supervisord answers. This costs it next to nothing."""
        self._call(lambda proxy: proxy.supervisor.getState())

    def pid(self) -> int:
        """Return supervisord's process id. This costs it next to nothing."""
        return int(self._call(lambda proxy: proxy.supervisor.getPID()))

    def processes(self) -> dict[str, Process]:
        """Return all programs, by the name of their group. This takes supervisord half a second for a thousand."""
        return {
            info["group"]: _process(info) for info in self._call(lambda proxy: proxy.supervisor.getAllProcessInfo())
        }

    def commands(self) -> dict[str, set[str]]:
        """Return the commands in supervisord's files as it read them last, by the name of the program and by that of
        its group."""
        commands: dict[str, set[str]] = {}
        for info in self._call(lambda proxy: proxy.supervisor.getAllConfigInfo()):
            for name in (info["group"], info["name"]):
                commands.setdefault(name, set()).add(info["command"])
        return commands

    def processes_of(self, names: Sequence[str]) -> dict[str, Process | None]:
        """Return the named programs, by the name of their group; None for each that supervisord doesn't have."""
        infos = self._batch("getProcessInfo", [(_program(name),) for name in names])
        return {name: info and _process(info) for name, info in zip(names, infos, strict=True)}

    def start(self, names: Iterable[str]) -> None:
        """Start programs without waiting for them."""
        self._batch("startProcess", [(_program(name), False) for name in names])

    def signal(self, names: Iterable[str], signal_name: str) -> None:
        """Send a signal, such as `TERM`, to programs that run."""
        self._batch("signalProcess", [(_program(name), signal_name) for name in names])

    def add(self, names: Iterable[str]) -> None:
        """Make programs of supervisord's files active, which starts them."""
        self._batch("addProcessGroup", [(name,) for name in names])

    def remove(self, names: Iterable[str]) -> frozenset[str]:
        """Stop programs, all at once, and take each out of supervisord as soon as it is down.

        Return those that did not stop within STOP_TIMEOUT_SECONDS. A recorder on a hung volume can't even be killed.
        """
        remaining = sorted(names)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while remaining:
            present = {name: process for name, process in self.processes_of(remaining).items() if process}
            down = [name for name, process in present.items() if process.is_down]
            removed = self._batch("removeProcessGroup", [(name,) for name in down])
            # A program may end by itself and be restarted before it is removed; then it is stopped again.
            up = [name for name, process in present.items() if not process.is_down and process.state != "STOPPING"]
            self._batch("stopProcess", [(_program(name), False) for name in up])
            taken_out = {name for name, done in zip(down, removed, strict=True) if done}
            remaining = [name for name in present if name not in taken_out]
            if remaining and time.monotonic() > deadline:
                break
            if remaining:
                time.sleep(POLL_SECONDS)
        return frozenset(remaining)

    def shut_down(self) -> None:
        """Stop every program of this supervisord, all at once, and then end supervisord.

        The watcher is stopped first, since it might add programs.
        """
        pid = self.pid()
        self._batch("stopProcess", [(_program(WATCH), False)])
        self._call(lambda proxy: proxy.supervisor.stopAllProcesses(False))
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            # supervisord is busy collecting its children, so it is asked only if /proc doesn't show them.
            left = children(pid)
            if not left and (left is not None or all(process.is_down for process in self.processes().values())):
                break
            time.sleep(POLL_SECONDS)
        self._call(lambda proxy: proxy.supervisor.shutdown())

    def _batch(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call one method many times in one request. A harmless fault gives None."""
        if not arguments:
            return []
        calls = [{"methodName": f"supervisor.{method}", "params": list(args)} for args in arguments]
        results = []
        for args, result in zip(arguments, self._call(lambda proxy: proxy.system.multicall(calls)), strict=True):
            fault = isinstance(result, dict) and "faultCode" in result
            if fault and result["faultCode"] not in HARMLESS:
                raise SupervisordError(f"supervisord refused {method} of {args[0]}: {result['faultString']}")
            results.append(None if fault else result)
        return results

    def _call(self, function: Callable[[xmlrpc.client.ServerProxy], Any]) -> Any:
        transport = SupervisorTransport(self._username, self._password, self._url)
        try:
            return function(xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport))
        except xmlrpc.client.ProtocolError as error:
            reason = "wrong user or password" if error.errcode == 401 else f"{error.errcode} {error.errmsg}"
            raise SupervisordError(
                f"supervisord at {self._url} answers: {reason}. See HELDAR_MIRROR_SUPERVISOR_USERNAME and _PASSWORD"
            ) from None
        except xmlrpc.client.Fault as fault:
            raise SupervisordError(_explained(fault, self._url)) from None
        except PermissionError as error:
            raise SupervisordError(
                f"supervisord at {self._url} can't be asked: {error}. Run as root, or as its user"
            ) from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ValueError) as error:
            is_gone = isinstance(error, (FileNotFoundError, ConnectionRefusedError))
            raise (NoSupervisordError if is_gone else SupervisordError)(
                f"supervisord does not answer at {self._url}: {error}. Is it running (heldar-mirror up)? "
                "What was written is applied when it starts"
            ) from None
        finally:
            transport.close()


def find_ours(settings: Settings) -> Ours | None:
    """Return what makes a process a recorder of ours, or None if there certainly is no supervisord of ours.

    Raises SupervisordError if that can't be found out.
    """
    pid = _find_supervisord(settings)
    return None if pid is None else ours(pid, settings.specs_dir, settings.user)


def _find_supervisord(settings: Settings) -> int | None:
    """Return the pid of our supervisord, or None if there certainly is none. Raises SupervisordError.

    Our own need not answer. A joined one must: it may have become a daemon after it began to listen, and Linux then
    still names the process that it was before.
    """
    if settings.joined:
        with suppress(NoSupervisordError):
            return Gateway(settings).pid()
        return None
    path = settings.state_dir / "supervisor.sock"
    try:
        return listener(path)
    except OSError as error:
        raise SupervisordError(
            f"cannot find out who listens on {path}: {error}. Run this as root, or as its user"
        ) from None


def _explained(fault: xmlrpc.client.Fault, url: str) -> str:
    if fault.faultCode == Faults.CANT_REREAD:
        return (
            f"supervisord at {url} can't read its files, and nothing was applied: {fault.faultString}. "
            "Mend the stanza it names; what runs goes on"
        )
    if fault.faultCode == Faults.SHUTDOWN_STATE:
        return f"supervisord at {url} is shutting down; what was written is applied when it starts again"
    return f"supervisord at {url} refused: {fault.faultString}"


def _program(name: str) -> str:
    return f"{name}:{name}"


def _process(info: dict[str, Any]) -> Process:
    return Process(info["statename"], max(info["start"], info["stop"]), info["pid"])
