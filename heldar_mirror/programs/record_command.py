"""The command line of the ffmpeg that records one camera."""

from heldar_mirror.heldar.cameras import Camera


def build_record_command(ffmpeg: str, camera: Camera, url: str) -> list[str]:
    """Return the command that the primary records with, up to where it writes, which the recorder appends.

    It differs in two more points: `-nostdin` is left out, since ffmpeg 7.0 ignores the first SIGTERM with it, and each
    fragment reaches its file at once, not in bursts of 256 KiB.
    """
    return [
        *[ffmpeg, "-hide_banner", "-loglevel", "warning"],
        *["-rtsp_transport", "tcp", "-timeout", "15000000", "-i", url, "-c", "copy"],
        *(["-c:a", "copy"] if camera.record_audio else ["-an"]),
        *["-f", "segment", "-segment_time", str(camera.segment_seconds), "-segment_format", "mp4"],
        *["-segment_format_options", "movflags=+frag_keyframe+empty_moov+default_base_moof:flush_packets=1"],
        *["-reset_timestamps", "1"],
    ]
