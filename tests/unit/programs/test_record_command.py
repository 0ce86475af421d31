"""The recording command: the primary's, argument by argument, without `-nostdin`."""

import pytest
from support.examples import camera

from heldar_mirror.programs.record_command import build_record_command

URL = "rtsp://admin:x@10.0.0.1:554/Streaming/Channels/101"
PRIMARY = (
    "ffmpeg -nostdin -hide_banner -loglevel warning -rtsp_transport tcp -timeout 15000000 -i {url} -c copy {audio} "
    "-f segment -segment_time {seconds} -segment_format mp4 "
    "-segment_format_options movflags=+frag_keyframe+empty_moov+default_base_moof "
    "-reset_timestamps 1 -strftime 1 {directory}/%Y%m%d_%H%M%S.mp4"
)


def primary(audio: str = "-an", seconds: int = 60, directory: str = "/m/gate") -> list[str]:
    text = PRIMARY.format(url=URL, audio=audio, seconds=seconds, directory=directory)
    return [arg for arg in text.split(" ") if arg != "-nostdin"]


@pytest.mark.parametrize(("record_audio", "audio"), [(0, "-an"), (1, "-c:a copy")])
def test_the_command_is_that_of_the_primary(record_audio: int, audio: str) -> None:
    """All arguments of the primary are there, in their order. Audio is copied or left out."""
    command = build_record_command("ffmpeg", camera(record_audio=record_audio), URL, "/m/gate")
    assert command == primary(audio=audio)


@pytest.mark.parametrize(("stored", "used"), [(-5, 4), (0, 4), (2, 4), (4, 4), (5, 5), (60, 60), (86_400, 86_400)])
def test_a_segment_lasts_at_least_four_seconds(stored: int, used: int) -> None:
    """Less than 4 s is raised to 4 s, because shorter segments could begin in the same second."""
    assert build_record_command("ffmpeg", camera(segment_seconds=stored), URL, "/m/gate") == primary(seconds=used)


def test_the_ffmpeg_of_the_settings_is_run() -> None:
    """A path with a space stays one argument."""
    command = build_record_command("/opt/my ffmpeg", camera(), URL, "/m/gate")
    assert command == ["/opt/my ffmpeg", *primary()[1:]]


@pytest.mark.parametrize(
    ("directory", "written"), [("/m/100%/gate", "/m/100%%/gate"), ("/m/%Y%%/gate", "/m/%%Y%%%%/gate")]
)
def test_a_percent_sign_of_the_directory_survives_strftime(directory: str, written: str) -> None:
    """ffmpeg passes the whole path to strftime, which turns two percent signs into one."""
    assert build_record_command("ffmpeg", camera(), URL, directory) == primary(directory=written)
