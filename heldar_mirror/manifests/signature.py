"""Signing manifests and checking signatures: Ed25519 over all bytes of the file, which openssl checks as well.

This module takes a tenth of a second and some megabytes to import, so it is imported only where there is a key.
"""

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from heldar_mirror.errors import SettingsError
from heldar_mirror.recorder.files import open_plain, read, read_all

# cryptography raises these for bytes that are no key, for an encrypted key, and for a kind that it does not know.
NO_KEY = (ValueError, TypeError, UnsupportedAlgorithm)


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Return the key that signs. Raises SettingsError if it can't be used, or if others could read it."""
    try:
        fd = open_plain(str(path), links=True)
        try:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if mode & 0o077:
                raise SettingsError(
                    f"HELDAR_MIRROR_MANIFESTS_KEY={path} has mode {mode:04o}, so others could sign as well: expected "
                    f"0400. Whoever may have read it has it for good: make a new one, and chmod 0400 it"
                )
            key = load_pem_private_key(read_all(fd, str(path)), password=None)
        finally:
            os.close(fd)
    except OSError as error:
        raise SettingsError(f"cannot read HELDAR_MIRROR_MANIFESTS_KEY: {error}") from None
    except NO_KEY:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"HELDAR_MIRROR_MANIFESTS_KEY={path} holds no key that can sign: expected an Ed25519 private key in PEM "
            "without a password, as of openssl genpkey -algorithm ed25519"
        )
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Return the key that checks signatures. Raises SettingsError if it can't be read or is none."""
    try:
        key = load_pem_public_key(read(str(path), links=True))
    except OSError as error:
        raise SettingsError(f"cannot read the public key: {error}") from None
    except NO_KEY:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"{path} holds no key that can check: expected an Ed25519 public key in PEM")
    return key


def is_signed(content: bytes, signature: bytes, key: Ed25519PublicKey) -> bool:
    """Return whether the owner of a key has signed this content."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True
