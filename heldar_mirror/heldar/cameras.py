"""The rows of Heldar's table `cameras`: which of them want a mirror, and which are unusable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from heldar_mirror.footage.names import CAMERA_ID

# The columns that are read. They are named, since each release of Heldar adds some.
COLUMNS = (
    "id",
    "vendor",
    "address",
    "rtsp_port",
    "username",
    "password",
    "main_stream_url",
    "sub_stream_url",
    "record_stream",
    "record_enabled",
    "enabled",
    "mirror_enabled",
    "segment_seconds",
    "record_audio",
)

Row = Mapping[str, object]

# No URL holds a longer password. It would only cost: a secret is looked for in each line of a log. What is sealed is
# longer than what is in it.
MAX_PASSWORD = 2048
MAX_STORED = 16_384

# The bounds of Heldar's own.
MIN_SEGMENT_SECONDS = 2
MAX_SEGMENT_SECONDS = 86_400


class CameraError(Exception):
    """A row that can't be used. The text says why and what to do, and holds no secret."""


@dataclass(frozen=True)
class Unusable:
    """A camera that may want a mirror and can't have one, or whose mirror can't be changed, with the reason."""

    camera_id: str
    reason: str


@dataclass(frozen=True)
class Camera:
    """A camera that wants a mirror, with its credentials in plain text."""

    id: str
    vendor: str
    address: str
    rtsp_port: int
    username: str
    password: str = field(repr=False)
    stream: str
    stream_url: str = field(repr=False)
    segment_seconds: int
    record_audio: bool


def should_mirror(row: Row) -> bool:
    """Return whether a camera is enabled, recorded and mirrored. Schedule and mode concern only the primary.

    One flag that is 0 means no, whatever the others are. Raises CameraError if no flag is 0 and one is not 1, since
    such a row says neither yes nor no.
    """
    flags = ("enabled", "record_enabled", "mirror_enabled")
    return 0 not in [row[column] for column in flags] and all(flag(row, column) for column in flags)


def camera_id(row: Row) -> str:
    """Return a row's id. Raises CameraError if it can't be the name of a directory and of a program."""
    value = row["id"]
    if not isinstance(value, str) or not CAMERA_ID.fullmatch(value):
        raise CameraError("the id must be of letters, digits, '_' and '-', at most 100; give the camera another id")
    return value


def shown_id(row: Row) -> str:
    """Return a row's id in a form that is safe to print, at most 60 characters unless it is a valid id."""
    text = str(row["id"])
    if CAMERA_ID.fullmatch(text):
        return text
    if not text.isprintable() or text != text.strip() or not text:
        text = ascii(row["id"])
    return text if len(text) <= 60 else text[:57] + "..."


def parse_camera(row: Row, unseal: Callable[[str], str]) -> Camera:
    """Return the camera of a row, with its sealed values opened by `unseal`. Raises CameraError for a bad value."""
    stream = _text(row, "record_stream")
    if stream not in {"main", "sub"}:
        raise CameraError(f"record_stream is {_shown(stream)}, expected main or sub")
    url_column = f"{stream}_stream_url"
    stream_url = _opened(row, url_column, unseal).strip()
    # These columns only serve to build a URL. If the row has a URL, they are not even checked.
    built = not stream_url
    return Camera(
        id=camera_id(row),
        vendor=_text(row, "vendor"),
        address=_text(row, "address").strip() if built else "",
        rtsp_port=integer(row, "rtsp_port", 1, 65_535) if built else 0,
        username=_text(row, "username") if built else "",
        password=_password(row, unseal) if built else "",
        stream=stream,
        stream_url=stream_url,
        segment_seconds=max(integer(row, "segment_seconds", None, MAX_SEGMENT_SECONDS), MIN_SEGMENT_SECONDS),
        record_audio=flag(row, "record_audio"),
    )


def _text(row: Row, column: str) -> str:
    value = row[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CameraError(f"{column} is not a text; set it again in Heldar")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CameraError(f"{column} is not valid UTF-8; set it again in Heldar") from None
    _check_length(column, value, MAX_STORED)
    return value


def _check_length(column: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise CameraError(f"{column} has {len(text)} characters, expected at most {longest}; shorten it in Heldar")


def _password(row: Row, unseal: Callable[[str], str]) -> str:
    password = _opened(row, "password", unseal)
    _check_length("password", password, MAX_PASSWORD)
    return password


def _opened(row: Row, column: str, unseal: Callable[[str], str]) -> str:
    try:
        return unseal(_text(row, column))
    except ValueError as error:
        raise CameraError(f"{column} is sealed and can't be opened: {error}") from None


def integer(row: Row, column: str, low: int | None, high: int) -> int:
    """Return the whole number in a column. Raises CameraError if it is not from `low` (None: no limit) to `high`."""
    value = row[column]
    if not isinstance(value, int) or value > high or (low is not None and value < low):
        span = f"at most {high}" if low is None else f"{low} to {high}"
        raise CameraError(f"{column} is {_shown(value)}, expected a whole number, {span}")
    return value


def flag(row: Row, column: str) -> bool:
    """Return whether a column is 1. Raises CameraError if it is neither 0 nor 1."""
    value = row[column]
    if not isinstance(value, int) or value not in {0, 1}:
        raise CameraError(f"{column} is {_shown(value)}, expected 0 or 1")
    return value == 1


def _shown(value: object) -> str:
    """Return a value shortened for a message. The column must not hold secrets."""
    if value is None:
        return "NULL"
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
