"""One reconcile: the whole table is read, the whole desired state computed, and the difference applied.

Nothing depends on an earlier run having come to its end: a launch spec is written before the programs file, and
removed after its program, so whatever is left half done is a difference that the next run sees.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from heldar_mirror.errors import MirrorError, SupervisordError, VolumeError
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.proc.recorders import recorders_of
from heldar_mirror.programs.desired import desired_state
from heldar_mirror.programs.plan import Plan, make_plan
from heldar_mirror.programs.stanzas import program_name, render_programs
from heldar_mirror.reconcile.adopt import check_apart_or_known, open_volume
from heldar_mirror.settings import Settings
from heldar_mirror.state.locks import locked
from heldar_mirror.state.specs import (
    Fingerprint,
    fingerprint,
    is_applied,
    read_programs,
    read_saved,
    remove_specs,
    set_applied,
    write_programs,
    write_specs,
)
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.supervisord.gateway import STOP_SECONDS, Gateway
from heldar_mirror.volume.marker import prove


@dataclass(frozen=True)
class Reconciled:
    """What was planned and applied, from which rows, and what tells whether another reconcile has written since.

    `complete`: every recorder ran already that should, so there is nobody to `revive`.
    """

    plan: Plan
    rows: list[Row] = field(repr=False)
    written: Fingerprint
    complete: bool


def reconcile(settings: Settings, forced: Collection[str] = ()) -> Reconciled:
    """Bring supervisord to what the table asks for; restart the cameras in `forced` in any case.

    Raises MirrorError; what runs goes on then.
    """
    with locked(settings):
        before = read_programs(settings)
        rows = read_rows(settings)
        plan, problem = write(rows, settings, forced)
        gateway = Gateway(settings)
        try:
            complete = _is_active(plan, gateway, settings)
            if not complete:
                _apply(plan, before, gateway, settings)
                set_applied(settings)
        except SupervisordError as error:
            raise problem or error from None
        remove_specs(plan.removed, settings)
        written = fingerprint(settings)
    if problem:
        raise problem
    return Reconciled(plan, rows, written, complete)


def write(rows: list[Row], settings: Settings, forced: Collection[str] = ()) -> tuple[Plan, VolumeError | None]:
    """Write the launch specs and the programs file that the table asks for. Raises MirrorError.

    Returns the plan, and why the volume can't be used: then the plan stops what the table wants stopped, and no more.
    """
    volume_id, problem = "", None
    # With the recorder switched off nothing is recorded, so no volume has to be there.
    if settings.recorder_enabled:
        try:
            volume_id = open_volume(settings)
        except VolumeError as error:
            problem = error
    plan = _plan(rows, settings, volume_id, forced, hold=problem is not None)
    write_specs(plan.written, settings)
    write_programs(render_programs(plan.generations, settings), settings)
    return plan, problem


def planned(settings: Settings, forced: Collection[str] = ()) -> Plan:
    """Return the plan, and write nothing anywhere. Raises MirrorError."""
    assert settings.mirror_root is not None  # noqa: S101 - the caller's matter
    remembered = remembered_volume(settings)
    check_apart_or_known(settings, remembered)
    if remembered and settings.recorder_enabled:
        prove(settings.mirror_root, remembered)
    return _plan(read_rows(settings), settings, remembered or "new", forced)


def read_rows(settings: Settings) -> list[Row]:
    """Return the rows of all cameras; none where the recorder is switched off. Raises DatabaseError."""
    return read_cameras(settings.database) if settings.recorder_enabled else []


def _plan(rows: list[Row], settings: Settings, volume_id: str, forced: Collection[str], *, hold: bool = False) -> Plan:
    desired = desired_state(rows, settings, volume_id)
    if strangers := sorted(set(forced) - desired.specs.keys()):
        reasons = {bad.camera_id: bad.reason for bad in desired.unusable}
        reasons |= dict.fromkeys(desired.unwanted, "its row asks for no mirror")
        raise MirrorError(
            "\n".join(f"{name}: {reasons.get(name, 'no such camera in the table')}" for name in strangers)
        )
    if hold:
        desired = replace(desired, specs={}, held=frozenset(desired.specs))
    return make_plan(desired, read_saved(settings), int(time.time()), forced)


def _is_active(plan: Plan, gateway: Gateway, settings: Settings) -> bool:
    """Whether supervisord clearly has just what the plan wants: to have it compare all costs more than all else."""
    return is_applied(settings) and recorders_of(gateway.pid(), settings.specs_dir) == plan.generations


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
