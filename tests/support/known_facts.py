"""Facts about one camera, made up for tests of what is concluded from them."""

from typing import Any

from heldar_mirror.heldar.cameras import Unusable
from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.recorder.media import STALLED
from heldar_mirror.status.facts import Facts
from heldar_mirror.supervisord.gateway import Process
from support.examples import row, settings

BEGUN = 1_795_364_320.0
SEGMENT = Segment("/mnt/mirror/gate/20261122_161840.mp4", 262144, BEGUN)
AWAY = "no connection to the camera at 127.0.0.1, port 554: Connection refused. Asking until it accepts one"
STALL = f"ffmpeg ended after 70 s, exit status 255 | {STALLED} for 60 s, though it keeps the connection"
UNAUTHORIZED = "ffmpeg ended after 1 s, exit status 1 | 401 Unauthorized"
NO_URL = "no RTSP URL: neither main_stream_url nor address is set"


def desired(row_says: str) -> Desired:
    """Return what a table of one row asks for, which says `wanted`, `unwanted` or `unusable`; or of none: `nothing`."""
    return {
        "wanted": desired_state([row(address="127.0.0.1")], settings(), ""),
        "unwanted": Desired({}, unwanted=frozenset({"gate"})),
        "unusable": Desired({}, unusable=(Unusable("gate", NO_URL),)),
        "nothing": Desired({}),
    }[row_says]


def facts(row_says: str = "wanted", state: str | None = None, *seen: str, error: str | None = None) -> Facts:
    """Return what is known about the camera `gate`.

    `state` is supervisord's, None if it knows no such program. `seen` may hold `segment` and `ffmpeg`, and `no files`
    or `no supervisord` if these can't be seen. `error` is the last one in its log. It was logged at BEGUN, when its
    process began, or with `earlier` a minute before.
    """
    at = BEGUN - 60 if "earlier" in seen else BEGUN
    one: dict[str, Any] = {
        "programs": {"gate": Process(state, int(BEGUN), 7)} if state else {},
        "segments": {"gate": SEGMENT} if "segment" in seen else {},
        "errors": {"gate": (at, error)} if error else {},
    }
    return Facts(
        desired=desired(row_says),
        ffmpegs={"gate"} if {"segment", "ffmpeg"} & set(seen) else set(),
        programs_known="no supervisord" not in seen,
        files_known="no files" not in seen,
        **one,
    )
