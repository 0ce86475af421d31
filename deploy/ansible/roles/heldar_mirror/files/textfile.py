#!/usr/bin/python3 -I
"""Write the status that heldar-mirror's watcher publishes (first argument) as metrics for node_exporter (second)."""

import json
import sys
from pathlib import Path

status, metrics = map(Path, sys.argv[1:])
lines = []


def add(name: str, meaning: str, values: dict[str, float]) -> None:
    lines.extend([f"# HELP heldar_mirror_{name} {meaning}", f"# TYPE heldar_mirror_{name} gauge"])
    lines.extend(f"heldar_mirror_{name}{labels} {value}" for labels, value in values.items())


try:
    report = json.loads(status.read_text())
except (OSError, ValueError):
    report = {"at": 0, "problems": [], "cameras": []}
# An id that can be mirrored holds no quotes; the ids of unusable rows are quoted as JSON does it.
cameras = {json.dumps(str(camera["camera_id"])): camera for camera in report["cameras"]}
# A watcher of an earlier version publishes no version.
versions = [json.dumps(str(report["version"]))] if "version" in report else []
add("info", "The version of the watcher.", {f"{{version={version}}}": 1 for version in versions})
add("status_timestamp_seconds", "When the watcher last published its status; 0 without one.", {"": report["at"]})
add("problems", "How many problems the watcher reports, apart from single cameras.", {"": len(report["problems"])})
add(
    "wanted",
    "Whether the camera's row asks for a mirror, 1 or 0.",
    {f"{{camera={name}}}": int(camera["wanted"]) for name, camera in cameras.items() if camera["wanted"] is not None},
)
add(
    "recording",
    "Whether the camera's mirror has a segment open, 1 or 0.",
    {f"{{camera={name}}}": int(bool(camera["segment"])) for name, camera in cameras.items()},
)
add(
    "well",
    "Whether the camera's mirror does what its row asks for, 1 or 0.",
    {f"{{camera={name}}}": int(camera["well"]) for name, camera in cameras.items()},
)
temporary = metrics.with_name(f".{metrics.name}.new")
temporary.write_text("".join(f"{line}\n" for line in lines))
temporary.chmod(0o644)
temporary.replace(metrics)
