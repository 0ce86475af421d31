"""The manifests are read by the tools that everybody has: sha256sum checks the sums, openssl the signatures."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import TREE
from support.manifests import DAY, NOON, Root, made_root

from heldar_mirror.footage.names import segment_name
from heldar_mirror.manifests.form import day_of
from heldar_mirror.manifests.signature import is_signed, load_private_key, load_public_key

PAGE = (TREE / "docs/manifests.md").read_text()
NAMES = [f"000001_{day_of(NOON)}.SHA256SUMS", f"000002_{day_of(NOON + DAY)}.SHA256SUMS"]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    (tmp_path / "root").mkdir()
    with made_root(tmp_path / "root") as made:
        yield made


def run(where: Path, *command: object) -> "subprocess.CompletedProcess[str]":
    """Run a command without any locale in a directory."""
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=where, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})


def sha256sum(root: Root, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(root.path, "/usr/bin/sha256sum", "-c", *arguments)


def fill(root: Root) -> None:
    """Two sealed days and an open one."""
    with root.store() as store:
        store.append("gate", root.put(NOON, NOON + 60, NOON + DAY, NOON + 2 * DAY), NOON)
        store.seal("gate", NOON + 2 * DAY, None)


def test_sha256sum_checks_them(root: Root) -> None:
    """Open and sealed ones, without a word about the lines of comment, also strictly."""
    fill(root)
    paths = [f".manifests/gate/{name}" for name in root.names()]
    assert len(paths) == 3
    done = sha256sum(root, "--strict", *paths)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": OK\n") == 4
    written = "".join(path.read_text() for path in sorted(root.manifests().iterdir()))
    sums = run(root.path, "sha256sum", *sorted(f"gate/{path.name}" for path in (root.path / "gate").iterdir())).stdout
    assert [line for line in written.splitlines() if not line.startswith("#")] == sums.splitlines()


def test_sha256sum_finds_a_change_and_passes_over_what_was_pruned(root: Root) -> None:
    """As the documents say, with --ignore-missing."""
    fill(root)
    (root.path / "gate" / segment_name(NOON)).unlink()
    path = f".manifests/gate/{NAMES[0]}"
    assert "No such file" in sha256sum(root, path).stderr
    done = sha256sum(root, "--strict", "--ignore-missing", path)
    assert (done.returncode, done.stdout) == (0, f"gate/{segment_name(NOON + 60)}: OK\n")
    (root.path / "gate" / segment_name(NOON + 60)).write_bytes(b"changed")
    done = sha256sum(root, "--strict", "--ignore-missing", path)
    assert (done.returncode, done.stdout) == (1, f"gate/{segment_name(NOON + 60)}: FAILED\n")


def test_openssl_makes_the_key_and_checks_the_signatures(root: Root, tmp_path: Path) -> None:
    """As the documents say: neither the key nor the check needs this program."""
    assert run(tmp_path, "openssl", "genpkey", "-algorithm", "ed25519", "-out", "key.pem").returncode == 0
    assert run(tmp_path, "openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem").returncode == 0
    key = load_private_key(tmp_path / "key.pem")
    fill(root)
    with root.store() as store:
        store.append("gate", root.put(NOON + 3 * DAY), NOON)
        store.seal("gate", NOON + 5 * DAY, key.sign)
    signatures = [name for name in root.names() if name.endswith(".sig")]
    assert len(signatures) == 2
    for signature in signatures:
        manifest = root.manifests() / signature.removesuffix(".sig")
        check = (
            *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin"),
            *("-in", manifest, "-sigfile", root.manifests() / signature),
        )
        done = run(tmp_path, *check)
        assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n")
        assert is_signed(
            manifest.read_bytes(), (root.manifests() / signature).read_bytes(), load_public_key(tmp_path / "pub.pem")
        )
        manifest.chmod(0o600)
        manifest.write_bytes(manifest.read_bytes().replace(b"gate", b"yard", 1))
        assert run(tmp_path, *check).returncode != 0


def documented(begins: str) -> str:
    """The command on the page that begins so, without its prompt."""
    [line] = re.findall(rf"^(?:[$] )?({re.escape(begins)}.*)$", PAGE, re.MULTILINE)
    return str(line)


def test_the_documented_command_checks_the_links(root: Root) -> None:
    """The line that names the manifest before has the form of sha256sum, so that is enough to check the chain."""
    fill(root)
    command = documented("sed -n")
    done = run(root.manifests(), "sh", "-c", command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first = root.manifests() / NAMES[0]
    first.chmod(0o600)
    first.write_text(first.read_text().replace("gate/", "yard/", 1))
    assert run(root.manifests(), "sh", "-c", command).stdout == f"{NAMES[0]}: FAILED\n"


def test_the_documented_commands_keep_the_heads_and_check_them(root: Root) -> None:
    """One line for each camera, which still fits when more days are sealed, and no more when a manifest is changed."""
    fill(root)
    with root.store() as store:
        store.append("yard", root.put(NOON, camera_id="yard"), NOON)
        store.seal("yard", NOON + 2 * DAY, None)
    fetch, check = (
        re.sub(r"^ssh mirror '(.*)'.*$", r"\1", line).replace("/mnt/mirror", str(root.path))
        for line in (documented("ssh mirror 'cd /mnt/mirror && for"), documented("ssh mirror 'cd /mnt/mirror && sha"))
    )
    heads = run(root.path, "sh", "-c", fetch).stdout
    assert [line.split()[1] for line in heads.splitlines()] == [
        f".manifests/gate/{NAMES[1]}",
        f".manifests/yard/{NAMES[0]}",
    ]
    (root.path / "heads").write_text(heads)
    with root.store() as store:
        store.seal("gate", NOON + 9 * DAY, None)
    done = run(root.path, "sh", "-c", f"({check}) < {root.path}/heads")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    newest = root.manifests() / NAMES[1]
    newest.chmod(0o600)
    newest.write_text(newest.read_text().replace("sealed 20", "sealed 19"))
    done = run(root.path, "sh", "-c", f"({check}) < {root.path}/heads")
    assert (done.returncode, done.stdout) == (1, f".manifests/gate/{NAMES[1]}: FAILED\n")
