"""One reconcile: it reads the whole table, computes the whole desired state, and applies the difference.

It doesn't depend on an earlier reconcile having finished. A launch spec is written before the programs file and removed
after its program, so whatever an interrupted reconcile left half done is a difference that the next one sees.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from heldar_mirror.errors import MirrorError, SupervisordError, VolumeError
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.proc.recorders import recorders_of
from heldar_mirror.programs.desired import Desired, desired_state
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
class Intended:
    """What the table asks for, and the plan that leads there, which is written to the state but not applied yet.

    `problem` says why the volume can't be used. Then the plan stops what the table wants stopped, and changes nothing
    else.
    """

    desired: Desired
    plan: Plan
    problem: VolumeError | None = None


@dataclass(frozen=True)
class Reconciled:
    """What one reconcile read, wanted and did.

    `problem` says why the plan could not be applied, or not all of it. `complete` means that every recorder ran
    already that should, so that there is none to revive. `fingerprint` changes when another reconcile writes.
    """

    rows: list[Row] = field(repr=False)
    desired: Desired = field(repr=False)
    plan: Plan
    problem: MirrorError | None = None
    complete: bool = False
    fingerprint: Fingerprint | None = None


def reconcile(settings: Settings, forced: Collection[str] = ()) -> Reconciled:
    """Bring supervisord to what the table asks for; restart the cameras in `forced` in any case.

    Raises MirrorError where there is no plan: the table or the state can't be read. What runs goes on then.
    """
    with locked(settings):
        return _reconcile(read_rows(settings), settings, forced)


def reconcile_changes(settings: Settings, last: Reconciled) -> Reconciled:
    """Reconcile if the rows, or what any reconcile wrote, changed since `last`; else return `last`.

    Raises MirrorError as `reconcile` does.
    """
    with locked(settings):
        rows = read_rows(settings)
        if rows == last.rows and last.fingerprint in (None, fingerprint(settings)):
            return last
        return _reconcile(rows, settings)


def _reconcile(rows: list[Row], settings: Settings, forced: Collection[str] = ()) -> Reconciled:
    before = read_programs(settings)
    intended = write(rows, settings, forced)
    desired, plan, gateway = intended.desired, intended.plan, Gateway(settings)
    try:
        complete = _is_active(plan, gateway, settings)
        if not complete:
            _apply(plan, before, gateway, settings)
            set_applied(settings)
        remove_specs(plan.removed, settings)
        return Reconciled(rows, desired, plan, intended.problem, complete, fingerprint(settings))
    except MirrorError as error:
        return Reconciled(rows, desired, plan, intended.problem or error)


def write(rows: list[Row], settings: Settings, forced: Collection[str] = ()) -> Intended:
    """Write the launch specs and the programs file that the table asks for. Raises MirrorError."""
    volume_id, problem = "", None
    # With the recorder switched off nothing is recorded, so no volume has to be there.
    if settings.recorder_enabled:
        try:
            volume_id = open_volume(settings)
        except VolumeError as error:
            problem = error
    intended = _intend(rows, settings, volume_id, problem, forced)
    write_specs(intended.plan.written, settings)
    write_programs(render_programs(intended.plan.generations, settings), settings)
    return intended


def dry_run(settings: Settings, forced: Collection[str] = ()) -> Plan:
    """Return the plan, and write nothing anywhere. Raises MirrorError."""
    assert settings.mirror_root is not None  # noqa: S101 - the callers check that mirroring is on
    remembered = remembered_volume(settings)
    check_apart_or_known(settings, remembered)
    if remembered and settings.recorder_enabled:
        prove(settings.mirror_root, remembered)
    return _intend(read_rows(settings), settings, remembered or "new", None, forced).plan


def read_rows(settings: Settings) -> list[Row]:
    """Return the rows of all cameras, or none if the recorder is switched off. Raises DatabaseError."""
    return read_cameras(settings.database) if settings.recorder_enabled else []


def _intend(
    rows: list[Row], settings: Settings, volume_id: str, problem: VolumeError | None, forced: Collection[str]
) -> Intended:
    desired = desired_state(rows, settings, volume_id)
    if strangers := sorted(set(forced) - desired.specs.keys()):
        reasons = {bad.camera_id: bad.reason for bad in desired.unusable}
        reasons |= dict.fromkeys(desired.unwanted, "its row asks for no mirror")
        raise MirrorError(
            "\n".join(f"{name}: {reasons.get(name, 'no such camera in the table')}" for name in strangers)
        )
    plan = make_plan(desired, read_saved(settings), int(time.time()), forced, hold=problem is not None)
    return Intended(desired, plan, problem)


def _is_active(plan: Plan, gateway: Gateway, settings: Settings) -> bool:
    """Return whether supervisord clearly runs just what the plan wants. Having supervisord compare everything would
    cost more than all the rest of a reconcile."""
    return is_applied(settings) and recorders_of(gateway.pid(), settings.specs_dir) == plan.generations


def _apply(plan: Plan, before: Collection[str], gateway: Gateway, settings: Settings) -> None:
    """Have supervisord compute how its files differ from what is active, and apply what concerns our programs.

    `before` are the programs that the programs file held before this reconcile.
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
