"""The command line of the ffmpeg that records one camera."""

from heldar_mirror.heldar.cameras import Camera
from heldar_mirror.recorder import recorder


def build_record_command(ffmpeg: str, camera: Camera, url: str, directory: str) -> list[str]:
    """Return the command that the primary records with, but into `directory`, the camera directory of the mirror.

    It differs in two more points: `-nostdin` is left out, since ffmpeg 7.0 ignores the first SIGTERM with it, and
    segments last at least 4 s.
    """
    return [
        *[ffmpeg, "-hide_banner", "-loglevel", "warning"],
        *["-rtsp_transport", "tcp", "-timeout", "15000000", "-i", url, "-c", "copy"],
        *(["-c:a", "copy"] if camera.record_audio else ["-an"]),
        *["-f", "segment", "-segment_time", str(camera.segment_seconds), "-segment_format", "mp4"],
        *["-segment_format_options", "movflags=+frag_keyframe+empty_moov+default_base_moof"],
        *["-reset_timestamps", "1", "-strftime", "1"],
        # ffmpeg gives strftime the whole path, so each '%' in the directory is doubled.
        f"{directory.replace('%', '%%')}/{recorder.SEGMENT_NAME}",
    ]
