"""Keys of every kind: one that can sign and that nobody else can read is used, any other is refused."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from heldar_mirror.errors import SettingsError
from heldar_mirror.manifests.signature import is_signed, load_private_key, load_public_key

PLAIN = NoEncryption()


def pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption = PLAIN) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_pem(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def written(path: Path, content: bytes, mode: int = 0o400) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_what_one_key_signs_is_checked_by_its_public_key(tmp_path: Path) -> None:
    """No other content, signature or key passes. A key may be given by a link, as secrets are in containers."""
    key = Ed25519PrivateKey.generate()
    written(tmp_path / "key", pem(key))
    (tmp_path / "link").symlink_to("key")
    signature = load_private_key(tmp_path / "link").sign(b"content")
    public = load_public_key(written(tmp_path / "public", public_pem(key), 0o644))
    assert is_signed(b"content", signature, public)
    assert not is_signed(b"Content", signature, public)
    assert not is_signed(b"content", signature[:-1], public)
    assert not is_signed(b"content", b"", public)
    assert not is_signed(b"content", signature, Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o600 | 0o020, 0o644])
def test_a_key_that_others_could_read_does_not_sign(tmp_path: Path, mode: int) -> None:
    """The viewers of the footage are in the mirror's group, so the group may not read it either."""
    path = written(tmp_path / "key", pem(Ed25519PrivateKey.generate()), mode)
    with pytest.raises(SettingsError, match=f"has mode {mode:04o}"):
        load_private_key(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\0",
        b"-----BEGIN PRIVATE KEY-----\n",
        pem(generate_private_key(SECP256R1())),
        pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"password")),
        public_pem(Ed25519PrivateKey.generate()),
    ],
    ids=["empty", "binary", "cut", "another kind", "with a password", "public"],
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """The error says what was expected, and shows nothing of the file."""
    path = written(tmp_path / "key", content)
    with pytest.raises(SettingsError, match="expected an Ed25519 private key in PEM"):
        load_private_key(path)
    if b"PUBLIC" not in content:
        with pytest.raises(SettingsError, match="expected an Ed25519 public key in PEM"):
            load_public_key(path)


def test_a_key_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Neither a missing file nor a directory is taken for no key being set."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SettingsError, match="cannot read HELDAR_MIRROR_MANIFESTS_KEY"):
            load_private_key(path)
        with pytest.raises(SettingsError, match="cannot read the public key"):
            load_public_key(path)
