"""Whether a mirror's files and processes belong together."""

import re
from functools import partial

from support.mirror import Mirror
from support.running import ffmpegs
from support.waiting import processes_of, wait_for


def has_one_ffmpeg(mirror: Mirror, camera_id: str) -> bool:
    return len(ffmpegs(mirror, camera_id)) == 1


def assert_in_step(mirror: Mirror) -> None:
    """Check that launch specs, programs file and running recorders are of the same cameras and generations."""
    specs = {
        path.stem: dict(line.split("=", 1) for line in path.read_text().splitlines())["generation"]
        for path in (mirror.state / "specs").glob("*.spec")
    }
    stanzas = dict(re.findall(r"/specs/(\S+)\.spec (\d+)$", (mirror.state / "programs.conf").read_text(), re.MULTILINE))
    assert stanzas == specs

    def running() -> dict[str, str]:
        commands = "\n".join(processes_of(f"{mirror.state}/specs/").values())
        return dict(re.findall(r"/(\w+)\.spec (\d+)$", commands, re.MULTILINE))

    specs.pop("broken", None)
    wait_for(lambda: {name: found for name, found in running().items() if name != "broken"} == specs, seen=running)
    for camera_id in specs:
        wait_for(partial(has_one_ffmpeg, mirror, camera_id), seen=lambda: mirror.supervisorctl("status"))
