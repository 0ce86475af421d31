"""Where credentials lie when there is a secret key."""

import base64
import os
import re
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.listeners import open_port
from support.mirror import PASSWORD, Mirror
from support.running import ffmpegs, file_contents, plan_counts, wait_until_recording
from support.specs_on_tmpfs import specs_on_tmpfs
from support.users import as_root
from support.waiting import processes_of, wait_for

ENCODED_PASSWORD = "p%40ss%2Fw%3Ard"


def seal(text: str, key: bytes) -> str:
    """Seal a value as Heldar does."""
    nonce = os.urandom(12)
    return "enc:v1:" + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), None)).decode()


@as_root
def test_once_there_is_a_key_no_credential_stays_on_the_disk(mirror: Mirror) -> None:
    """When HELDAR_SECRET_KEY is set for the first time the specs move. All is recorded from there, what is not wanted
    any more is stopped, and the old specs are gone."""
    mirror.database.add("gate")
    mirror.database.add("leaving")
    with specs_on_tmpfs(mirror) as specs, mirror.up():
        before = wait_until_recording(mirror, "gate", "leaving")
        mirror.database.execute("DELETE FROM cameras WHERE id = 'leaving'")
        mirror.env["HELDAR_SECRET_KEY"] = base64.b64encode(os.urandom(32)).decode()
        mirror.run("reconcile")
        assert not list((mirror.state / "specs").glob("*"))
        for path, content in file_contents(mirror.state).items():
            assert ENCODED_PASSWORD.encode() not in content, path
        assert [path.name for path in specs.iterdir()] == ["gate.spec"]
        wait_for(lambda: mirror.status()["gate"]["well"])
        assert not set(before.values()) & processes_of("start_recorder.py").keys()
        assert not ffmpegs(mirror, "leaving")
        assert re.findall(r"^\S+", mirror.supervisorctl("status"), re.MULTILINE) == ["mirror-gate", "watch"]
        assert plan_counts(mirror.run("reconcile")) == {"unchanged": 1}


@as_root
def test_neither_the_key_nor_what_it_opens_gets_where_it_should_not(mirror: Mirror) -> None:
    """With HELDAR_SECRET_KEY set sealed cameras are recorded. The key is in no child's environment, and no credential
    lies in the state directory, in the logs, or anywhere on a disk."""
    key = os.urandom(32)
    shown_key = base64.b64encode(key).decode()
    mirror.env["HELDAR_SECRET_KEY"] = shown_key
    mirror.database.add("gate", password=seal(PASSWORD, key))
    url = f"rtsp://x:{ENCODED_PASSWORD}@127.0.0.1:{open_port()}/"
    mirror.database.add("hall", vendor="generic", main_stream_url=seal(url, key))
    with specs_on_tmpfs(mirror) as specs:
        with mirror.up() as up:
            wait_for(lambda: mirror.segments("gate") and mirror.segments("hall"))
            assert f"rtsp://admin:{ENCODED_PASSWORD}@127.0.0.1:{open_port()}/" in (specs / "gate.spec").read_text()
            assert url in (specs / "hall.spec").read_text()
            assert specs.stat().st_mode & 0o777 == 0o700
            mirror.run("reconcile", "gate")
            wait_for(lambda: len(processes_of(str(specs))) == 2 and mirror.status()["gate"]["well"])

            children = processes_of(str(mirror.home)).keys() | processes_of(str(specs)).keys()
            assert len(children - {up.pid}) >= 5  # supervisord, two recorders, two ffmpegs
            for pid in children - {up.pid}:
                assert shown_key.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            shown = mirror.run("status", code=1).stdout + mirror.run("reconcile", "--dry-run").stdout + mirror.up_log()
        for secret in (shown_key, PASSWORD, ENCODED_PASSWORD):
            assert secret not in shown
            for path, content in file_contents(mirror.state, mirror.logs, mirror.root).items():
                assert secret.encode() not in content, path
        assert not processes_of(str(specs))
