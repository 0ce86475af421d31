"""The URL that a camera is recorded from, and the parts of it that are secrets."""

import ipaddress
import re
import urllib.parse

from heldar_mirror.heldar.cameras import Camera, CameraError

# No camera needs nearly as much. There is a limit because the secrets to mask grow with the square of the length.
MAX_URL = 2048

# As many characters may the possible secrets of a URL have together. A few dozen parameters with passwords give more.
MAX_SECRETS = 1 << 18

# The schemes that the recording command can record. Heldar also takes http and https, for which ffmpeg has no
# `-rtsp_transport`, so it ends with "Option not found" even if the camera sends what it can read.
SCHEMES = ("rtsp", "rtsps")
PATHS = {
    ("hikvision", "main"): "/Streaming/Channels/101",
    ("hikvision", "sub"): "/Streaming/Channels/102",
    ("dahua", "main"): "/cam/realmonitor?channel=1&subtype=0",
    ("dahua", "sub"): "/cam/realmonitor?channel=1&subtype=1",
}

# Parameters whose values are secrets. Cameras take them in the query (?user=admin&password=x) and in the path
# (/user=admin_password=x_channel=1).
SECRET_PARAMETERS = (
    *("pass", "passwd", "password", "pwd", "pw", "psw"),
    *("token", "secret", "key", "auth", "signature", "sig"),
)
# An unencoded value may contain what looks like its end, so the text up to each possible end is a secret.
VALUE_END = re.compile(r"[&;?#/'\"]|_[a-z]+=|$", re.IGNORECASE)


def record_url(camera: Camera) -> str:
    """Return the URL that Heldar records `camera` from, its scheme in lower case, as ffmpeg expects it.

    Raises CameraError if there is none, or it can't be used.
    """
    url = camera.stream_url or _built_url(camera)
    if len(url) > MAX_URL:
        raise CameraError(f"its URL has {len(url)} characters, expected at most {MAX_URL}; shorten it in Heldar")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        shown = scheme if separator and re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme) else "none"
        raise CameraError(
            f"the scheme of {camera.stream}_stream_url is {shown}, expected {' or '.join(SCHEMES)}: the recording "
            "command can record no other; set the camera's RTSP URL"
        )
    if " " in url or not url.isprintable():  # isprintable() refuses all white space but the blank
        where = f"{camera.stream}_stream_url" if camera.stream_url else "address"
        raise CameraError(f"{where} holds white space or control characters; percent-encode them, or take them out")
    return f"{scheme}://{rest}"


def _built_url(camera: Camera) -> str:
    if not camera.address:
        raise CameraError(f"no RTSP URL: neither {camera.stream}_stream_url nor address is set")
    path = PATHS.get((camera.vendor, camera.stream))
    if path is None:
        raise CameraError(
            f"no RTSP URL: for vendor {ascii(camera.vendor)[:40]} Heldar builds none; set {camera.stream}_stream_url"
        )
    return f"rtsp://{_credentials(camera)}{_host(camera.address)}:{camera.rtsp_port}{path}"


def _credentials(camera: Camera) -> str:
    if not camera.username:
        return ""
    user, password = encode(camera.username), encode(camera.password)
    return f"{user}:{password}@" if password else f"{user}@"


def encode(text: str) -> str:
    """Return user information percent-encoded as in Heldar: all of its UTF-8 but letters, digits and `-._~`."""
    return urllib.parse.quote(text, safe="")


def _host(address: str) -> str:
    """Return the address as a URL's host. ffmpeg needs brackets around an IPv6 address, which Heldar stores without."""
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return address


def secrets(camera: Camera, url: str) -> tuple[str, ...]:
    """Return the texts that must be masked everywhere: each secret of `url`, raw and percent-encoded.

    A secret with line breaks is split at them, since a launch spec can't hold them. Raises CameraError if there are too
    many.
    """
    found, size = {camera.password}, 0
    for equals in re.finditer("=", url):
        if url[: equals.start()].casefold().endswith(SECRET_PARAMETERS):
            value = url[equals.end() :]
            ends = [end.start() for end in VALUE_END.finditer(value)]
            found |= {value[:end] for end in ends}
            size += sum(ends)
            if size > MAX_SECRETS:
                raise CameraError(
                    f"{camera.stream}_stream_url has too many parameters for passwords; shorten it in Heldar"
                )
    rest = url.partition("://")[2]
    # The user information ends at the last '@' before the path, or at a later '@' if a raw password holds / or ? or #.
    first = re.split(r"[/?#]", rest, maxsplit=1)[0].rfind("@")
    for user in (rest[: at.start()] for at in re.finditer("@", rest) if at.start() >= first):
        found |= {user, user.partition(":")[2]}
    plain = {urllib.parse.unquote(text) for text in found} | found
    forms = {line for text in plain for form in (text, encode(text)) for line in form.splitlines()}
    return tuple(sorted(filter(None, forms)))
