"""The gateway and what a reconcile makes of it, with a supervisord that does as it is told."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCServer

import pytest
from supervisor.xmlrpc import Faults
from support.examples import settings
from support.mirror import Database

from heldar_mirror.errors import SupervisordError
from heldar_mirror.programs.stanzas import parse_programs
from heldar_mirror.reconcile.reconcile import reconcile
from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import prepare
from heldar_mirror.supervisord import gateway
from heldar_mirror.supervisord.gateway import Gateway


@dataclass
class Supervisord:
    """A supervisord without processes: what it read and what is active, by name, and who will not stop."""

    programs_file: Path
    url: str = ""
    active: dict[str, int] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    hung: set[str] = field(default_factory=set)

    def _dispatch(self, method: str, arguments: Sequence[Any]) -> Any:
        if method == "system.multicall":
            return [self._one_of_many(call["methodName"], call["params"]) for call in arguments[0]]
        functions: dict[str, Callable[..., Any]] = {
            "reloadConfig": self.reload,
            "addProcessGroup": self.add,
            "removeProcessGroup": self.remove,
            "stopProcess": self.stop,
            "getProcessInfo": self.info,
            "getAllProcessInfo": self.all,
            "getAllConfigInfo": self.commands,
            "getPID": os.getpid,
        }
        return functions[method.removeprefix("supervisor.")](*arguments)

    def _one_of_many(self, method: str, arguments: Sequence[Any]) -> Any:
        """As supervisord does, and XML-RPC does not: a result stands as it is, not in a list of one."""
        try:
            return self._dispatch(method, arguments)
        except Fault as fault:
            return {"faultCode": fault.faultCode, "faultString": fault.faultString}

    def files(self) -> dict[str, int]:
        return parse_programs(self.text())

    def text(self) -> str:
        return self.programs_file.read_text() if self.programs_file.exists() else ""

    def commands(self) -> list[dict[str, object]]:
        stanzas = re.findall(r"^\[program:(.+)\]\ncommand=(.+)$", self.text(), re.MULTILINE)
        return [{"group": name, "name": name, "command": command} for name, command in stanzas]

    def reload(self) -> list[list[list[str]]]:
        files = self.files()
        changed = [name for name in files if name in self.active and self.active[name] != files[name]]
        return [[sorted(files.keys() - self.active.keys()), changed, sorted(self.active.keys() - files.keys())]]

    def add(self, name: str) -> bool:
        if name in self.active:
            raise Fault(Faults.ALREADY_ADDED, "ALREADY_ADDED")
        self.active[name] = self.files()[name]
        self.states[name] = "STARTING"
        return True

    def remove(self, name: str) -> bool:
        if self.states[name] != "STOPPED":
            raise Fault(Faults.STILL_RUNNING, "STILL_RUNNING")
        del self.active[name], self.states[name]
        return True

    def stop(self, program: str, _wait: bool) -> bool:
        name = program.partition(":")[0]
        self.states[name] = "STOPPING" if name in self.hung else "STOPPED"
        return True

    def info(self, program: str) -> dict[str, object]:
        name = program.partition(":")[0]
        if name not in self.states:
            raise Fault(Faults.BAD_NAME, "BAD_NAME")
        return {"group": name, "statename": self.states[name], "pid": 1, "start": 1, "stop": 1, "stdout_logfile": ""}

    def all(self) -> list[dict[str, object]]:
        return [self.info(name) for name in self.states]


@pytest.fixture
def supervisord(home: Path) -> Iterator[Supervisord]:
    """A supervisord that answers, and knows no program yet."""
    made = Supervisord(home / "programs.conf")
    with SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        server.register_instance(made)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def joined(home: Path, database: Database, supervisord: Supervisord, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that join that supervisord, with the cameras `gate` and `hall` applied; a stop may take a moment."""
    monkeypatch.setattr(gateway, "STOP_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(gateway, "POLL_SECONDS", 0.01)
    made = settings(
        DATABASE_URL=f"sqlite://{database.path}",
        RECORDINGS_DIR=str(home / "recordings"),
        MIRROR_RECORDINGS_DIR=str(home / "mirror"),
        MIRROR_STATE_DIR=str(home / "state"),
        MIRROR_PROGRAMS_FILE=str(supervisord.programs_file),
        MIRROR_SUPERVISOR_URL=supervisord.url,
    )
    database.add("gate")
    database.add("hall")
    prepare(made)
    reconcile(made)
    assert supervisord.active.keys() == {"mirror-gate", "mirror-hall"}
    return made


def test_removed_are_those_that_stop_and_told_are_those_that_do_not(supervisord: Supervisord, joined: Settings) -> None:
    """One that hangs keeps none of the others; one that is not known needs no removal."""
    supervisord.hung.add("mirror-gate")
    assert Gateway(joined).remove(["mirror-gate", "mirror-hall", "mirror-unknown"]) == {"mirror-gate"}
    assert supervisord.active.keys() == {"mirror-gate"}
    supervisord.hung.clear()
    supervisord.states["mirror-gate"] = "STOPPED"
    assert Gateway(joined).remove(["mirror-gate"]) == frozenset()
    assert not supervisord.active


def test_a_recorder_that_does_not_stop_costs_its_own_camera_alone(
    supervisord: Supervisord, joined: Settings, database: Database
) -> None:
    """Of two that changed the other is added again, and the error names the one that is left; once it has stopped the
    next reconcile puts all in step."""
    before = dict(supervisord.active)
    supervisord.hung.add("mirror-gate")
    database.execute("UPDATE cameras SET segment_seconds = 30")
    database.add("yard")
    problem = reconcile(joined).problem
    assert isinstance(problem, SupervisordError)
    assert "mirror-gate" in str(problem)
    assert "mirror-hall" not in str(problem)
    assert supervisord.active.keys() == {"mirror-gate", "mirror-hall", "mirror-yard"}
    assert supervisord.active["mirror-gate"] == before["mirror-gate"]
    assert supervisord.active["mirror-hall"] > before["mirror-hall"]

    supervisord.hung.clear()
    supervisord.states["mirror-gate"] = "STOPPED"
    reconcile(joined)
    assert supervisord.active["mirror-gate"] > before["mirror-gate"]
    assert set(supervisord.states.values()) == {"STARTING"}


def test_a_recorder_that_does_not_stop_is_still_known_when_its_camera_is_gone(
    supervisord: Supervisord, joined: Settings, database: Database
) -> None:
    """Not wanted any more and not stopped either, it is removed by the first reconcile that can."""
    supervisord.hung.add("mirror-gate")
    database.update("gate", mirror_enabled=0)
    for _ in range(2):
        problem = reconcile(joined).problem
        assert isinstance(problem, SupervisordError)
        assert "mirror-gate" in str(problem)
    supervisord.hung.clear()
    supervisord.states["mirror-gate"] = "STOPPED"
    reconcile(joined)
    assert supervisord.active.keys() == {"mirror-hall"}
