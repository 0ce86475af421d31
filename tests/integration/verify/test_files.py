"""`heldar-mirror verify --level files`: the files of the mirror against its manifests, without the primary."""

import hashlib
import os
import shutil
import subprocess
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support.made_footage import begun_of, lock_in_heldar, snapshot
from support.manifests import made_root
from support.mirror import Mirror
from support.two_copies import verify

from heldar_mirror.footage.names import segment_name

DAY = 86400


@pytest.fixture
def listed(mirror: Mirror) -> Mirror:
    """The mirror with manifests of all its segments. Those of `gate` are sealed and signed, and the primary is gone."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content in (("key", private), ("pub", public)):
        (mirror.home / name).write_bytes(content)
        (mirror.home / name).chmod(0o400)
    with made_root(mirror.root) as root, root.store() as store:
        for camera_id in ("gate", "hall"):
            segments = mirror.segments(camera_id)
            now = begun_of(segments[0])
            sums = [(begun_of(path), hashlib.sha256(path.read_bytes()).digest()) for path in segments]
            store.append(camera_id, sums, now)
            if camera_id == "gate":
                store.seal(camera_id, now + 2 * DAY, key.sign)
    shutil.rmtree(mirror.home / "recordings")
    return mirror


def check(mirror: Mirror, *args: str, code: int = 0, **env: str) -> tuple[Any, dict[str, Any]]:
    return verify(mirror, "--level", "files", *args, code=code, **env)


def kinds(camera: Any) -> list[tuple[str, int]]:
    return [(each["kind"], each["begun"]) for each in camera["findings"]]


def test_files_that_are_as_they_were_listed_are_proven(listed: Mirror) -> None:
    """As by sha256sum. The primary and Heldar's rows are not needed for it, and nothing is written."""
    before = snapshot(listed.root)
    report, cameras = check(listed, "--public-key", f"{listed.home}/pub")
    assert snapshot(listed.root) == before
    assert (report["proven"], report["read"]) == (1, report["bytes"])
    assert cameras["gate"]["counts"] == {"looked_at": 10, "unchanged": 10}
    for path in listed.root.glob(".manifests/*/*SUMS"):
        subprocess.run(["sha256sum", "-c", "--quiet", path], cwd=listed.root, check=True)


def test_a_changed_a_missing_and_an_unlisted_file_are_found(listed: Mirror) -> None:
    """Each is named. One that is older than a locked one was pruned."""
    changed, missing, unlisted = (listed.segments("gate")[each] for each in (3, 5, 7))
    with changed.open("r+b") as file:
        file.write(b"x")
    missing.unlink()
    new = unlisted.with_name(segment_name(begun_of(unlisted) + 1))
    shutil.copy2(unlisted, new)
    _, cameras = check(listed, code=1)
    assert sorted(kinds(cameras["gate"]), key=lambda each: each[1]) == [
        ("changed since it was listed in a manifest", begun_of(changed)),
        ("listed in a manifest, and gone before its time", begun_of(missing)),
        ("not listed in any manifest", begun_of(new)),
    ]
    assert cameras["hall"]["well"]
    shown = listed.run("verify", "--level", "files", "--older-than", "1h", code=1).stdout
    assert f"{new}: not listed in any manifest" in shown
    for path in listed.segments("hall")[:3]:
        path.unlink()
    lock_in_heldar(listed, listed.segments("hall")[0])
    assert check(listed, "hall")[1]["hall"]["findings"] == []


def test_a_changed_manifest_and_a_wrong_key_are_found(listed: Mirror) -> None:
    """With the name of the manifest."""
    check(listed, HELDAR_MIRROR_MANIFESTS_KEY=f"{listed.home}/key")
    other = Ed25519PrivateKey.generate().public_key()
    (listed.home / "other").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    _, cameras = check(listed, "--public-key", f"{listed.home}/other", code=1)
    (flaw, *_) = cameras["gate"]["flaws"]
    assert "bad signature" in flaw
    (sealed,) = (listed.root / ".manifests/gate").glob("0*SUMS")
    text = sealed.read_text()
    sealed.chmod(0o640)
    sealed.write_text(text.replace(text.splitlines()[-1][:64], "0" * 64))
    _, cameras = check(listed, "--public-key", f"{listed.home}/pub", code=1)
    assert cameras["gate"]["flaws"][0].startswith(f"{sealed.name}: bad signature")
    assert kinds(cameras["gate"]) == [
        ("changed since it was listed in a manifest", begun_of(listed.segments("gate")[-1]))
    ]
    sealed.write_text(text.replace("\n", " \n", 1))
    assert "damaged" in check(listed, code=1)[1]["gate"]["flaws"][0]


def test_a_manifest_that_can_t_be_read_is_a_problem(listed: Mirror) -> None:
    """Its segments are not known then, which is no difference."""
    (manifest,) = (listed.root / ".manifests/hall").glob("*open*")
    manifest.unlink()
    os.mkfifo(manifest)
    report, cameras = check(listed, code=8)
    assert "hall: cannot read the manifest" in report["problems"][0]
    assert cameras["gate"]["proven"] == 10
    assert cameras["hall"]["nothing_there"] == 10


def test_a_stub_is_in_no_manifest(listed: Mirror) -> None:
    """It may lie there for long, if nothing was recorded since."""
    last = listed.segments("hall")[-1]
    stub = last.with_name(segment_name(begun_of(last) + 9))
    stub.write_bytes(last.read_bytes().partition(b"moof")[0][:-4])
    assert check(listed)[1]["hall"]["well"]


@pytest.mark.parametrize("lost", [".manifests", ".manifests/hall"])
def test_manifests_that_were_removed_as_a_whole_are_found(listed: Mirror, lost: str) -> None:
    """What they proved is no longer proven."""
    check(listed)
    shutil.rmtree(listed.root / lost)
    _, cameras = check(listed, "--older-than", "1h", code=1)
    assert "*.SHA256SUMS: lost: none is there" in cameras["hall"]["flaws"][0]
    assert cameras["gate"]["well"] == (lost != ".manifests")
    _, cameras = check(listed, code=1)
    assert cameras["hall"]["proven"] == 0
    check(listed, HELDAR_MIRROR_MANIFESTS="false")
