"""The recording command: the primary's, argument by argument, but for what docs/decisions.md gives reasons for."""

import pytest
from support.examples import camera

from heldar_mirror.programs.record_command import build_record_command

URL = "rtsp://admin:x@10.0.0.1:554/Streaming/Channels/101"
PRIMARY = (
    "ffmpeg -nostdin -hide_banner -loglevel warning -rtsp_transport tcp -timeout 15000000 -i {url} -c copy {audio} "
    "-f segment -segment_time {seconds} -segment_format mp4 "
    "-segment_format_options movflags=+frag_keyframe+empty_moov+default_base_moof "
    "-reset_timestamps 1"
)


def expected(audio: str = "-an", seconds: int = 60) -> list[str]:
    """Return the primary's command up to the names of its files, without `-nostdin` and with each fragment flushed."""
    text = PRIMARY.format(url=URL, audio=audio, seconds=seconds)
    text = text.replace("default_base_moof", "default_base_moof:flush_packets=1")
    return [arg for arg in text.split(" ") if arg != "-nostdin"]


@pytest.mark.parametrize(("record_audio", "audio"), [(0, "-an"), (1, "-c:a copy")])
def test_the_command_is_that_of_the_expected(record_audio: int, audio: str) -> None:
    """All arguments of the primary are there, in their order. Audio is copied or left out."""
    command = build_record_command("ffmpeg", camera(record_audio=record_audio), URL)
    assert command == expected(audio=audio)


@pytest.mark.parametrize(("stored", "used"), [(-5, 2), (0, 2), (1, 2), (2, 2), (3, 3), (60, 60), (86_400, 86_400)])
def test_a_segment_lasts_at_least_two_seconds(stored: int, used: int) -> None:
    """Less than 2 s, which is Heldar's minimum, is raised to 2 s."""
    assert build_record_command("ffmpeg", camera(segment_seconds=stored), URL) == expected(seconds=used)


def test_the_ffmpeg_of_the_settings_is_run() -> None:
    """A path with a space stays one argument."""
    command = build_record_command("/opt/my ffmpeg", camera(), URL)
    assert command == ["/opt/my ffmpeg", *expected()[1:]]
