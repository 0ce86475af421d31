"""A camera that repeats what it was sent, and an ffmpeg that tells of a URL it has split wrongly: no log holds it."""

import re
import shutil
from collections.abc import Iterator
from urllib.parse import quote

import imageio_ffmpeg
import pytest
from support.bench import Bench
from support.examples import row, settings
from support.mirror import USER
from support.reflecting_camera import FORMS, Reflector, reflecting_camera
from support.secrets import PASSWORDS, leaks

from heldar_mirror.programs.desired import desired_state

PASSWORD = PASSWORDS["reflected"]
ENCODED = quote(PASSWORD, safe="")

# Passwords that are not encoded in an explicit URL, with words that must not be told. With some of them ffmpeg takes
# the user name for the host, so it is an address of loopback.
RAW = {
    "pq@wz/rst": ("pq", "wz", "rst"),
    "pq@wz/quokka": ("wz", "quokka"),
    "pq@quokka/wombat": ("quokka", "wombat"),
    "9/quokka": ("quokka"),
    "quokka/wz": ("quokka", "wz"),
    "quokka#wombat": ("quokka", "wombat"),
    "pq@wz?quokka": ("wz", "quokka"),
    "pq@wz:9?quokka": ("wz", "9", "quokka"),
    "p@[wz]/quokka": ("wz", "quokka"),
    "%ZZ/quokka%": ("ZZ", "quokka"),
}


@pytest.fixture
def reflector() -> Iterator[Reflector]:
    with reflecting_camera() as running:
        yield running


@pytest.fixture
def ffmpeg(bench: Bench) -> str:
    """Debian's ffmpeg for root, and a new one for others."""
    if bench.user == "root":
        return "ffmpeg"
    return shutil.copy(imageio_ffmpeg.get_ffmpeg_exe(), str(bench.ffmpeg))


def told(bench: Bench, ffmpeg: str, url: str) -> str:
    """Return what a recorder logs of the first ffmpeg for a URL."""
    wanted = settings(FFMPEG_BIN=ffmpeg, MIRROR_RECORDINGS_DIR=str(bench.root))
    spec = desired_state([row(password="", main_stream_url=url)], wanted, "volume-1").specs["gate"]
    path = bench.home / "gate.spec"
    path.write_text(spec.render(1))
    path.chmod(0o644)
    return bench.run(path)


@pytest.mark.parametrize("form", FORMS)
def test_what_a_camera_repeats_is_masked(bench: Bench, reflector: Reflector, ffmpeg: str, form: str) -> None:
    """The log has the camera's error, without the credentials that the camera repeats in it."""
    line = told(bench, ffmpeg, f"rtsp://{USER}:{ENCODED}@127.0.0.1:{reflector.port}/{form}")
    assert leaks({form: line.encode()}) == []
    assert ("resolve hostname" if form == "basic/away" else "method DESCRIBE failed: 404") in line
    assert "***" in line
    assert form.startswith("basic") or reflector.digests
    assert not [digest for digest in reflector.digests if digest[:8] in line]


def test_a_login_that_repeats_the_url_is_masked(bench: Bench, reflector: Reflector, ffmpeg: str) -> None:
    """The recorder logs which login a camera asks for, without what the camera repeats there."""
    url = f"rtsp://127.0.0.1:{reflector.port}/algorithm?password={ENCODED}"
    line = told(bench, ffmpeg, url)
    assert leaks({url: line.encode()}) == []
    assert "the camera asks for a login that ffmpeg can't do: Digest with rtsp://" in line


@pytest.mark.parametrize("password", RAW)
def test_what_ffmpeg_took_for_a_host_is_masked(bench: Bench, ffmpeg: str, password: str) -> None:
    """If a password in an explicit URL is not encoded, ffmpeg takes a part of it for a host, a port or a path."""
    line = told(bench, ffmpeg, f"rtsp://127.0.0.1:{password}@127.0.0.1:9/x")
    words = set(re.findall(r"\w+", line.replace("***", "").partition("|")[2].replace(ffmpeg, "")))
    assert "ffmpeg ended" in line
    assert not [word for word in RAW[password] if word in words or (word in line.partition("|")[2] and len(word) > 2)]
