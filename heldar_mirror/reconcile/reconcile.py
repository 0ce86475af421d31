"""One reconcile: the whole table is read, the whole desired state computed, and the difference applied.

Nothing depends on an earlier run having come to its end: a launch spec is written before the programs file, and
removed after its program, so whatever is left half done is a difference that the next run sees.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from heldar_mirror.errors import HungError, MirrorError, SupervisordError, VolumeError
from heldar_mirror.heldar import database
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.proc.processes import recorders_of
from heldar_mirror.programs import stanzas as programs
from heldar_mirror.programs.plan import Plan, make_plan
from heldar_mirror.programs.stanzas import program_name
from heldar_mirror.settings import Settings
from heldar_mirror.state import directory as state
from heldar_mirror.supervisord.gateway import STOP_SECONDS, Gateway
from heldar_mirror.volume import asking as volume
from heldar_mirror.watcher.failures import FAILED


@dataclass(frozen=True)
class Revival:
    """Cameras whose programs were found down: `revived` had failed for good; `held` were stopped by a person."""

    revived: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconciled:
    """What was planned and applied, from which rows, and what tells whether another reconcile has written since.

    `complete`: every recorder ran already that should, so there is nobody to `revive`.
    """

    plan: Plan
    rows: list[Row] = field(repr=False)
    written: state.Written
    complete: bool


def reconcile(settings: Settings, forced: Collection[str] = ()) -> Reconciled:
    """Bring supervisord to what the table asks for; restart the cameras in `forced` in any case.

    Raises MirrorError; what runs goes on then.
    """
    with state.locked(settings):
        before = state.read_programs(settings)
        rows = read_rows(settings)
        plan, problem = write(rows, settings, forced)
        gateway = Gateway(settings)
        try:
            complete = _is_active(plan, gateway, settings)
            if not complete:
                _apply(plan, before, gateway, settings)
                state.set_applied(settings)
        except SupervisordError as error:
            raise problem or error from None
        state.remove_specs(plan.removed, settings)
        written = state.written(settings)
    if problem:
        raise problem
    return Reconciled(plan, rows, written, complete)


def revive(settings: Settings) -> Revival:
    """Start again the programs that failed for good. Raises MirrorError."""
    with state.locked(settings):
        cameras = {name: name.removeprefix(settings.prefix) for name in sorted(state.read_programs(settings))}
        gateway = Gateway(settings)
        running = recorders_of(gateway.pid(), settings.specs_dir)
        processes = gateway.processes_of([name for name, camera_id in cameras.items() if camera_id not in running])
        if missing := [name for name, process in processes.items() if process is None]:
            raise SupervisordError(
                f"supervisord at {settings.supervisor_url} does not know {len(missing)} of the programs, such as "
                f"{min(missing)}: does its [include] name {settings.programs_file}?"
            )
        states = {name: process.state for name, process in processes.items() if process}
        failed = [name for name, state_ in states.items() if state_ in FAILED]
        gateway.start(failed)
    return Revival(
        revived=tuple(cameras[name] for name in failed),
        held=tuple(cameras[name] for name, state_ in states.items() if state_ == "STOPPED"),
    )


def write(rows: list[Row], settings: Settings, forced: Collection[str] = ()) -> tuple[Plan, VolumeError | None]:
    """Write the launch specs and the programs file that the table asks for. Raises MirrorError.

    Returns the plan, and why the volume can't be used: then the plan stops what the table wants stopped, and no more.
    """
    volume_id, problem = "", None
    # With the recorder switched off nothing is recorded, so no volume has to be there.
    if settings.recorder_enabled:
        try:
            volume_id = _open_volume(settings)
        except VolumeError as error:
            problem = error
    plan = _plan(rows, settings, volume_id, forced, hold=problem is not None)
    state.write_specs(plan.written, settings)
    state.write_programs(programs.render_programs(plan.generations, settings), settings)
    return plan, problem


def dry_run(settings: Settings, forced: Collection[str] = ()) -> Plan:
    """Return the plan, and write nothing anywhere. Raises MirrorError."""
    assert settings.mirror_root is not None  # noqa: S101 - the caller's matter
    remembered = state.remembered_volume(settings)
    _check_apart(settings, remembered)
    if remembered and settings.recorder_enabled:
        volume.prove(settings.mirror_root, remembered)
    return _plan(read_rows(settings), settings, remembered or "new", forced)


def read_rows(settings: Settings) -> list[Row]:
    """Return the rows of all cameras; none where the recorder is switched off. Raises DatabaseError."""
    return database.read_cameras(settings.database) if settings.recorder_enabled else []


def _open_volume(settings: Settings) -> str:
    """Return the id of the proven volume; a root that was never used is made ours. Raises VolumeError."""
    assert settings.mirror_root is not None  # noqa: S101 - the caller's matter
    remembered = state.remembered_volume(settings)
    _check_apart(settings, remembered)
    if remembered is None:
        return adopt_volume(settings, take_over=False)
    volume.prove(settings.mirror_root, remembered)
    return remembered


def _check_apart(settings: Settings, remembered: str | None) -> None:
    """Refuse a mirror root in the primary's directory. A hung primary keeps no volume from being used that was
    found apart before, only one from being marked. Raises VolumeError."""
    assert settings.mirror_root is not None  # noqa: S101 - the caller's matter
    try:
        volume.check_apart(settings.mirror_root, settings.recordings_dir)
    except HungError:
        if remembered is None:
            raise


def adopt_volume(settings: Settings, *, take_over: bool) -> str:
    """Make the mirror root ours and return the volume's id. Raises MirrorError."""
    intended = state.intended_volume(settings)
    volume.mark(settings, intended, state.owner(settings), take_over=take_over)
    state.remember_volume(intended, settings)
    return intended


def _plan(rows: list[Row], settings: Settings, volume_id: str, forced: Collection[str], *, hold: bool = False) -> Plan:
    desired = programs.desired_state(rows, settings, volume_id)
    if strangers := sorted(set(forced) - desired.specs.keys()):
        reasons = {bad.camera_id: bad.reason for bad in desired.unusable}
        reasons |= dict.fromkeys(desired.unwanted, "its row asks for no mirror")
        raise MirrorError(
            "\n".join(f"{name}: {reasons.get(name, 'no such camera in the table')}" for name in strangers)
        )
    if hold:
        desired = replace(desired, specs={}, held=frozenset(desired.specs))
    return make_plan(desired, state.read_saved(settings), int(time.time()), forced)


def _is_active(plan: Plan, gateway: Gateway, settings: Settings) -> bool:
    """Whether supervisord clearly has just what the plan wants: to have it compare all costs more than all else."""
    return state.is_applied(settings) and recorders_of(gateway.pid(), settings.specs_dir) == plan.generations


def _apply(plan: Plan, before: Collection[str], gateway: Gateway, settings: Settings) -> None:
    """Have supervisord compute the difference to what is active, and apply what is ours of it.

    `before` are the programs of the programs file as it was.
    """
    difference = gateway.reload()
    ours = {program_name(camera_id, settings) for camera_id in plan.generations} | set(before)
    ours |= {program_name(change.camera_id, settings) for change in plan.removed}
    if not settings.joined:
        ours |= difference.changed | difference.removed
    left = gateway.remove((difference.changed | difference.removed) & ours)
    fresh = (difference.added | difference.changed) & ours
    gateway.add(sorted(fresh - left))
    if left:
        raise SupervisordError(
            f"did not stop within {STOP_SECONDS} s: {', '.join(sorted(left))}. All else was applied. A hung volume? "
            "They stop as soon as it answers; then: heldar-mirror reconcile"
        )
