"""Example rows, cameras, footage and settings for tests of pure functions. Nothing here touches a file."""

import base64
from array import array

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import strategies as st

from heldar_mirror.footage.footage import Footage
from heldar_mirror.heldar import sealed
from heldar_mirror.heldar.cameras import Camera, Row, parse_camera
from heldar_mirror.settings import Settings, parse_settings

# Any plain text that a column of Heldar's database can hold.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: sealed.PREFIX not in text)
# A URL may hold any characters but white space and control characters.
url_characters = st.characters(exclude_categories=["C", "Z"])
camera_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=20)


def row(**columns: object) -> Row:
    """Return the row of a hikvision camera that wants a mirror, changed by `columns`."""
    return {
        "id": "gate",
        "vendor": "hikvision",
        "address": "10.0.0.1",
        "rtsp_port": 554,
        "username": "admin",
        "password": "p@ss/w:rd",
        "main_stream_url": None,
        "sub_stream_url": None,
        "record_stream": "main",
        "record_enabled": 1,
        "enabled": 1,
        "mirror_enabled": 1,
        "segment_seconds": 60,
        "record_audio": 0,
    } | columns


def camera(**columns: object) -> Camera:
    """Return the camera of such a row. None of its values is sealed."""
    return parse_camera(row(**columns), lambda value: value)


def footage_of(*segments: tuple[int, int]) -> Footage:
    """Return footage of these segments: each begun at a Unix second, and of a size in bytes."""
    return Footage(array("q", [begun for begun, _ in segments]), array("q", [size for _, size in segments]))


def settings(**variables: str) -> Settings:
    """Return settings with a database, a mirror root and a state directory.

    `MIRROR_PREFIX="x"` sets HELDAR_MIRROR_PREFIX.
    """
    given = {
        "DATABASE_URL": "sqlite:/h.db",
        "MIRROR_RECORDINGS_DIR": "/mnt/mirror",
        "MIRROR_STATE_DIR": "/s",
    } | variables
    return parse_settings({f"HELDAR_{name}": value for name, value in given.items()})


KEY = base64.b64encode(bytes(range(32))).decode()


def seal(plain: bytes, key: str = KEY) -> str:
    """Seal a value as Heldar's kernel does, except that the nonce is always the same."""
    nonce = b"used only once"[: sealed.NONCE_BYTES]
    box = nonce + AESGCM(base64.b64decode(key)).encrypt(nonce, plain, None)
    return sealed.PREFIX + base64.b64encode(box).decode()
