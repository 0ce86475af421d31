"""Making a report without a watcher, in the command that shows it."""

from heldar_mirror.errors import MirrorError
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.proc.open_segments import OpenSegments, Segment
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.settings import Settings
from heldar_mirror.state.specs import read_programs, without_stanza
from heldar_mirror.status.facts import Facts
from heldar_mirror.status.recorder_log import last_errors
from heldar_mirror.status.report import Report, make_report
from heldar_mirror.supervisord.gateway import Gateway, Process, find_ours
from heldar_mirror.supervisord.ownership import taken_names


def gather(settings: Settings) -> Report:
    """Return a report of what this process can find out. What can't be found out is a problem in it, not an error."""
    desired, active, errors = Desired({}), None, dict[str, tuple[float, str]]()
    problems = []
    try:
        desired = desired_state(read_cameras(settings.database), settings, volume="")
    except MirrorError as error:
        problems.append(str(error))
    try:
        active = active_programs(settings)
        if settings.joined:
            new = without_stanza(desired.specs, settings)
            desired = desired.without(taken_names(new, (), settings, Gateway(settings), reload=False))
    except MirrorError as error:
        problems.append(str(error))
    open_segments = OpenSegments()
    segments, files_known = dict[str, Segment](), False
    try:
        segments = open_segments.look(find_ours(settings))
        files_known = not open_segments.refused
    except MirrorError as error:
        if str(error) not in problems:
            problems.append(str(error))
    if open_segments.refused:
        problems.append(
            f"the open files of {open_segments.refused} recorders can't be seen: run this as root, or as their user"
        )
    try:
        errors = last_errors(desired.specs, settings)
    except OSError as error:
        problems.append(f"cannot read the programs' logs: {error}. Run this as root, or as the recorders' user")
    facts = Facts(
        desired=desired,
        programs=active or {},
        segments=segments,
        ffmpegs=open_segments.ffmpegs,
        errors=errors,
        programs_known=active is not None,
        files_known=files_known,
    )
    return make_report(facts, problems)


def active_programs(settings: Settings) -> dict[str, Process]:
    """Return our programs in supervisord, by camera. In a joined one, ours are those in our programs file.

    Raises SupervisordError or StateError.
    """
    processes = Gateway(settings).processes()
    names = read_programs(settings) if settings.joined else processes
    return {
        name.removeprefix(settings.prefix): processes[name]
        for name in names
        if name in processes and name.startswith(settings.prefix)
    }
