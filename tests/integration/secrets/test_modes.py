"""Owners and modes of what the mirror makes, whatever umask `up` is started with."""

import os
from pathlib import Path

import pytest
from support.examples import seal
from support.secrets import modes, with_key
from support.users import MirrorForAll, as_root, new_mirror
from support.waiting import wait_for
from support.watched import published

from heldar_mirror.state.secrets import SECRETS_FILE


class Sheltered(MirrorForAll):
    """A mirror with a key whose specs lie in a directory of their own, of which not even the parents exist yet."""

    @property
    def state(self) -> Path:
        return self.home / "var/lib/state"

    @property
    def specs(self) -> Path:
        return self.home / "run/mirror/specs"


@as_root
@pytest.mark.slow
@pytest.mark.parametrize(("umask", "user"), [(0o000, "root"), (0o077, "games")], ids=["000-root", "077-games"])
def test_modes_and_owners_do_not_depend_on_the_umask_that_up_is_given(umask: int, user: str) -> None:
    """Secrets, sockets and logs belong to the user, everybody may read the status, and nobody else can put files
    there."""
    before = os.umask(0o022)
    try:
        with new_mirror(Sheltered) as mirror:
            with_key(mirror)
            mirror.env |= {"HELDAR_MIRROR_STATE_DIR": str(mirror.state), "HELDAR_MIRROR_SPECS_DIR": str(mirror.specs)}
            if user != "root":
                mirror.env["HELDAR_MIRROR_USER"] = user
            mirror.database.add("gate", password=seal(b"n0 secret"))
            os.umask(umask)
            with mirror.up(watched=True):
                wait_for(
                    lambda: mirror.segments("gate") and any(found["segment"] for found in published(mirror)["cameras"])
                )
                found = modes(mirror.state) | modes(mirror.specs)
                expected = {
                    mirror.state: "drwx------",
                    mirror.state / "supervisor.sock": "srwx------",
                    mirror.state / "status": "drwxr-xr-x",
                    mirror.state / "status/status.json": "-rw-r--r--",
                    mirror.specs: "drwx------",
                    mirror.specs / "gate.spec": "-rw-------",
                    mirror.specs / SECRETS_FILE: "-rw-------",
                    mirror.logs: "drwxr-x---",
                }
                expected |= {mirror.state / name: "-rw-------" for name in ("lock", "up.lock", "volumes")}
                expected |= {path: "-rw-r-----" for path in mirror.logs.iterdir() if "---" not in path.name}
                assert {path.name for path in expected} >= {"watch.log", "supervisord.log", "mirror-gate.log"}
                assert {path: found[path] for path in expected} == {path: (user, m) for path, m in expected.items()}
                assert {owner for owner, _ in found.values()} == {user}
                open_to_others = [path for path, (_, m) in found.items() if m[0] != "l" and "w" in m[4:]]
                assert open_to_others == []
                assert [path for path in mirror.logs.iterdir() if modes(path)[path][1][7:] != "---"] == []
                for made in (mirror.state.parent, mirror.state.parent.parent, mirror.specs.parent):
                    assert modes(made)[made] == ("root", "drwxr-xr-x"), made
    finally:
        os.umask(before)
