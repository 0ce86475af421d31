"""Which schemes the recording command can record, by an old and a new ffmpeg."""

import http.server
import shlex
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.examples import camera

from heldar_mirror.heldar.camera_url import record_url
from heldar_mirror.programs.record_command import build_record_command

FFMPEGS = {"debian": "ffmpeg", "newest": imageio_ffmpeg.get_ffmpeg_exe()}


@pytest.fixture
def video_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a video on an HTTP server, which ffmpeg can read."""
    video = tmp_path / "video.ts"
    source = shlex.split("-f lavfi -i testsrc=duration=1:size=64x64:rate=5 -c:v mpeg4")
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *source, video], check=True, timeout=60)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{video.name}"
        server.shutdown()
        thread.join()


def attempt(ffmpeg: str, url: str, tmp_path: Path) -> str:
    """Have ffmpeg record from a URL, and return what it logs."""
    command = [*build_record_command(ffmpeg, camera(), url), str(tmp_path / "%d.mp4")]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    return result.stderr


@pytest.mark.parametrize("ffmpeg", FFMPEGS)
def test_the_recording_command_records_no_http(ffmpeg: str, video_url: str, tmp_path: Path) -> None:
    """ffmpeg could read the video, but not with the options of the recording command. So such a row is unusable."""
    subprocess.run([FFMPEGS[ffmpeg], "-nostdin", "-i", video_url, "-f", "null", "-"], check=True, timeout=60)
    log = attempt(FFMPEGS[ffmpeg], video_url, tmp_path)
    assert "Option rtsp_transport not found" in log or "Option not found" in log


@pytest.mark.parametrize("ffmpeg", FFMPEGS)
@pytest.mark.parametrize("scheme", ["RTSP", "Rtsps"])
def test_a_scheme_in_capitals_reaches_the_camera(ffmpeg: str, scheme: str, tmp_path: Path) -> None:
    """ffmpeg knows schemes in lower case alone. As we write the URL, it asks the camera, which refuses here."""
    url = f"{scheme}://127.0.0.1:9/live"
    assert "Protocol not found" in attempt(FFMPEGS[ffmpeg], url, tmp_path)
    assert "Connection refused" in attempt(FFMPEGS[ffmpeg], record_url(camera(main_stream_url=url)), tmp_path)
