#!/usr/bin/env python3
"""Print the private dirty memory of a resting recorder, beside that of a bare interpreter that sleeps.

Both run `python -I -S FILE`, in the interpreter that runs this; the recorder has a stand-in for ffmpeg.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from heldar_mirror import recorder
from heldar_mirror.programs import RECORDER

ROUNDS = 5
SETTLED_SECONDS = 2.0
AIM = 1.15


def private_dirty(pid: int) -> int:
    """Return a process's private dirty memory in KiB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_Dirty:"))


def measure(*args: str) -> int:
    """Start `python -I -S` with `args`, let it come to rest, and return its private dirty memory in KiB."""
    process = subprocess.Popen([sys.executable, "-I", "-S", *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        time.sleep(SETTLED_SECONDS)
        if process.poll() is not None:
            raise SystemExit(f"it ended: {' '.join(args)}")
        return private_dirty(process.pid)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        sleeping, ffmpeg, spec = home / "sleeping.py", home / "ffmpeg", home / "gate.spec"
        sleeping.write_text("import time\ntime.sleep(1000)\n")
        ffmpeg.write_text("#!/bin/sh\nexec sleep 1000\n")
        ffmpeg.chmod(0o755)
        (home / recorder.MARKER).write_text("volume-1\n")
        url = "rtsp://user:password@127.0.0.1:554/Streaming/Channels/101"
        fields = {"camera": "gate", "root": name, "volume": "volume-1", "directory": f"{name}/gate"}
        lines = [f"{key}={value}" for key, value in (fields | {"secret": "password", "url": url}).items()]
        spec.write_text("\n".join(["generation=1", *lines, f"arg={ffmpeg}", f"arg={url}", ""]))

        figures: dict[str, list[int]] = {"python -I -S, sleeping": [], "recorder, resting": []}
        for _ in range(ROUNDS):
            figures["python -I -S, sleeping"].append(measure(str(sleeping)))
            figures["recorder, resting"].append(measure(str(RECORDER), str(spec), "1"))
    print(f"private dirty memory, medians of {ROUNDS}, {sys.version.split()[0]} {sys.executable}")
    bare, resting = (statistics.median(values) for values in figures.values())
    for what, values in figures.items():
        print(f"  {what:24} {statistics.median(values):6.0f} KiB   {values}")
    print(f"  ratio {resting / bare:.3f}, the aim is at most {AIM}")


if __name__ == "__main__":
    main()
