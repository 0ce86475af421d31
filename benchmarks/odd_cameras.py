#!/usr/bin/env python3
"""Count the packets that are kept of odd cameras, beside the loop of Heldar's kernel.

All cameras are recorded at once, by both. A camera that allows one session is recorded by the loop first, and the
mirror is to leave it that.
"""

import sys
import tempfile
from pathlib import Path

from fleet import new_mirror
from measure import Figure, record

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.beside import Case, record_beside
from support.camera import ScriptedCamera
from support.scripted_camera import PROFILES

NUMBER = 13
SECONDS = 240.0
# Packets count from the moment at which both had a session. Each side may lack those before its next keyframe.
AIM = 0.97
# The primary loses what it takes the mirror to see that the camera allows one session.
AIM_OF_PRIMARY = 0.85

CASES = {
    Case("plain", 60): "nothing is odd",
    Case("rate5", 4): "5 frames/s, segments of 4 s",
    Case("rate5", 5): "5 frames/s, segments of 5 s",
    Case("rate2", 4): "2 frames/s, segments of 4 s",
    Case("rate1", 5): "1 frame/s, segments of 5 s",
    Case("far", 10): "a keyframe every 100 s, the first one some time after it was asked for",
    Case("key100", 10): "a keyframe every 100 s",
    Case("key300", 10): "a keyframe every 300 s",
    Case("dark", 600): "a dark scene, segments of 600 s",
    Case("stray", 60): "a stray timestamp in 2 s",
    Case("twice", 60): "a clock at twice its speed",
    Case("fourfold", 60): "a clock at 4 times its speed",
    Case("eightfold", 60): "a clock at 8 times its speed",
    Case("eightfold", 2): "a clock at 8 times its speed, segments of 2 s",
    Case("still", 10): "timestamps that stand still",
    Case("back", 60): "timestamps that step back by an hour",
    Case("forth", 60): "timestamps that step forth by an hour",
    Case("saw", 60): "timestamps that step back by 3 s every 10 s",
    Case("burst", 10): "30 s of stream at once every minute",
    Case("mute", 10): "media that stop 20 s after each connection, RTCP goes on",
    Case("slow", 60): "each answer takes 3 s",
}
ONE_SESSION = {
    Case("newest", 60, "loop"): "the newest one wins",
    Case("first", 60, "loop"): "others get 453",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name, new_mirror([]) as mirror:
        mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
        camera = ScriptedCamera(log=Path(name) / "log")
        camera.plug_in()
        try:
            outcomes = record_beside(mirror, camera, [*CASES, *ONE_SESSION], SECONDS)
        finally:
            camera.unplug()
    figures = [
        Figure(
            NUMBER,
            f"packets kept in {SECONDS:.0f} s: {what}",
            "packets",
            [outcomes[case].ours],
            "the seed's loop",
            [outcomes[case].theirs],
            AIM,
            more_is_better=True,
        )
        for case, what in CASES.items()
    ]
    figures += [
        Figure(
            NUMBER,
            f"packets that the seed's loop keeps in {SECONDS:.0f} s beside a mirror, one session: {what}",
            "packets",
            [outcomes[case].theirs],
            "sent",
            [SECONDS * PROFILES[case.profile].rate],
            AIM_OF_PRIMARY,
            more_is_better=True,
        )
        for case, what in ONE_SESSION.items()
    ]
    sys.exit(0 if record(*figures) else 1)


if __name__ == "__main__":
    main()
