#!/usr/bin/python3 -I
"""Write the status that heldar-mirror's watcher publishes (first argument) as metrics for node_exporter (second).

It believes neither file to be what it should be: a taken-over recorder may have put anything at the first path.
"""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

# The status of 10,000 cameras is some 5 MB.
MOST_BYTES = 32 << 20


def read_report(path: str) -> Any:
    """Return the published report. Raises OSError or ValueError if there is none; follows no link, and never waits."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("expected a plain file")
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise ValueError(f"expected at most {MOST_BYTES} bytes")
    return json.loads(text)


def label(value: object) -> str:
    """Return a label's value, in quotes: UTF-8, with the format's few escapes. What can't be printed is spelled out."""
    printable = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    return '"{}"'.format("".join(printable).replace("\\", "\\\\").replace('"', '\\"'))


def metrics(report: Any) -> list[str]:
    """Return the lines of the file. Raises what Python raises if the report is not one."""
    cameras = {label(camera["camera_id"]): camera for camera in report["cameras"]}
    # A watcher of an earlier version publishes no version.
    versions = [label(report["version"])] if "version" in report else []
    wanted = {name: camera for name, camera in cameras.items() if camera["wanted"] is not None}
    lines = []
    for name, meaning, values in (
        ("info", "The version of the watcher.", {f"{{version={version}}}": 1 for version in versions}),
        (
            "status_timestamp_seconds",
            "When the watcher last published its status; 0 without one.",
            {"": float(report["at"])},
        ),
        (
            "problems",
            "How many problems the watcher reports, apart from single cameras.",
            {"": len(report["problems"])},
        ),
        (
            "wanted",
            "Whether the camera's row asks for a mirror, 1 or 0.",
            {f"{{camera={name}}}": int(bool(camera["wanted"])) for name, camera in wanted.items()},
        ),
        (
            "recording",
            "Whether the camera's mirror has a segment open, 1 or 0.",
            {f"{{camera={name}}}": int(bool(camera["segment"])) for name, camera in cameras.items()},
        ),
        (
            "well",
            "Whether the camera's mirror does what its row asks for, 1 or 0.",
            {f"{{camera={name}}}": int(bool(camera["well"])) for name, camera in cameras.items()},
        ),
    ):
        lines += [f"# HELP heldar_mirror_{name} {meaning}", f"# TYPE heldar_mirror_{name} gauge"]
        lines += [f"heldar_mirror_{name}{labels} {value:.17g}" for labels, value in values.items()]
    return lines


def replace(path: str, lines: list[str]) -> None:
    """Replace a file as a whole. Only a new file of our own is written to."""
    temporary = Path(f"{path}.new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temporary, flags, 0o644), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    temporary.replace(path)


try:
    written = metrics(read_report(sys.argv[1]))
# Whatever is wrong with the report, that there is none must show.
except Exception:
    written = metrics({"at": 0, "problems": [], "cameras": []})
replace(sys.argv[2], written)
