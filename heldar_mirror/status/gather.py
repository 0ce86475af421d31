"""A report made without a watcher, by whoever asks."""

import time

from heldar_mirror.errors import MirrorError
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.proc.open_segments import OpenSegments, Segment
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.settings import Settings
from heldar_mirror.state.specs import read_programs
from heldar_mirror.status.recorder_log import last_errors
from heldar_mirror.status.report import Facts, Report, make_report
from heldar_mirror.supervisord.gateway import Gateway, Process

# A segment that is open for longer, and for three times its length, is one that no media comes for.
OLD_SECONDS = 120


def gather(settings: Settings) -> Report:
    """Return a report of our own making. What can't be learnt is told as a problem in it, not raised."""
    desired, active, errors = Desired({}), None, dict[str, tuple[float, str]]()
    problems = []
    try:
        desired = desired_state(read_cameras(settings.database), settings, volume="")
    except MirrorError as error:
        problems.append(str(error))
    try:
        active = active_programs(settings)
    except MirrorError as error:
        problems.append(str(error))
    places = OpenSegments(settings.specs_dir)
    segments = places.look()
    if places.refused:
        problems.append(
            f"the open files of {places.refused} recorders can't be seen: run this as root, or as their user"
        )
    try:
        errors = last_errors(desired.specs, settings)
    except OSError as error:
        problems.append(f"cannot read the programs' logs: {error}. Run this as root, or as the recorders' user")
    stalled = [camera_id for camera_id, segment in segments.items() if _is_old(segment, desired.specs.get(camera_id))]
    known = active is not None and not places.refused
    return make_report(Facts(desired, active or {}, segments, errors, stalled), problems, known=known)


def _is_old(segment: Segment, spec: LaunchSpec | None) -> bool:
    return time.time() - segment.begun > max(3 * spec.segment_seconds if spec else 0, OLD_SECONDS)


def active_programs(settings: Settings) -> dict[str, Process]:
    """Return our programs in supervisord, by camera: in a shared one they are those of our programs file.

    Raises MirrorError.
    """
    processes = Gateway(settings).processes()
    names = read_programs(settings) if settings.joined else processes
    return {
        name.removeprefix(settings.prefix): processes[name]
        for name in names
        if name in processes and name.startswith(settings.prefix)
    }
