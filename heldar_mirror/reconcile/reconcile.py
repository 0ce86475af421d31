"""A reconcile: it reads the whole table, computes the whole desired state, and applies the difference.

It works even if an earlier reconcile was interrupted: a launch spec is written before the programs file and removed
after its program, so the next reconcile sees whatever is missing as a difference.
"""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from heldar_mirror.errors import MirrorError, StateError, SupervisordError, VolumeError
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.proc.recorders import recorders_of
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.programs.plan import Plan, make_plan
from heldar_mirror.programs.stanzas import program_name, render_programs
from heldar_mirror.reconcile.adopt import check_apart_or_remembered, open_volume
from heldar_mirror.settings import Settings
from heldar_mirror.state.locks import locked
from heldar_mirror.state.specs import (
    Fingerprint,
    fingerprint,
    is_applied,
    read_names,
    read_saved,
    remove_specs,
    saved_ids,
    set_applied,
    without_stanza,
    write_programs,
    write_specs,
)
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.supervisord.gateway import STOP_TIMEOUT_SECONDS, Gateway
from heldar_mirror.supervisord.ownership import shadowed_names, taken_names
from heldar_mirror.volume.marker import prove


@dataclass(frozen=True)
class Table:
    """The rows of the table, the desired state computed from them, and the state's fingerprint from before they were
    read."""

    rows: list[Row] = field(repr=False)
    desired: Desired = field(repr=False)
    fingerprint: Fingerprint | None


@dataclass(frozen=True)
class Written:
    """What was written into the state: the plan that can be applied, and why it is not all that the table asks for, or
    None. Without `has_programs` the programs file could not be written, so the plan only removes."""

    plan: Plan
    problem: MirrorError | None = None
    has_programs: bool = True


@dataclass(frozen=True)
class Names:
    """The cameras whose programs' names can't be used, in a joined supervisord.

    `taken` are those of somebody else's programs, each with the reason for people. `unsure` has these too, and those
    for which supervisord could not be asked; `problem` is why.
    """

    taken: Mapping[str, str]
    unsure: frozenset[str]
    problem: SupervisordError | None = None


@dataclass(frozen=True)
class Reconciled:
    """What one reconcile read, planned and did.

    `problem` is why the plan could not be applied as a whole, or None. `complete` means that every wanted recorder was
    running already, so there is none to revive. `fingerprint` is that of the state afterwards; None after an error.
    """

    table: Table
    plan: Plan
    problem: MirrorError | None = None
    complete: bool = False
    fingerprint: Fingerprint | None = None


def reconcile(settings: Settings, forced: Collection[str] = (), table: Table | None = None) -> Reconciled:
    """Have supervisord run what the table asks for, and restart the cameras in `forced` in any case.

    `table` is what the caller has just read, if it has. Raises MirrorError if there is no plan: the table or the state
    directory can't be read. What runs goes on then.
    """
    # The table is read before the lock is taken, so that other reconciles don't wait for a database that hangs.
    table = table or read_table(settings)
    with locked(settings):
        # A reconcile that wrote meanwhile may have read newer rows.
        if current_fingerprint(settings) != table.fingerprint:
            table = read_table(settings)
        gateway = Gateway(settings)
        before = read_names(settings)
        names = _check_names(table.desired, settings, gateway)
        table = replace(table, desired=table.desired.without(names.taken))
        written = write(table.desired, settings, forced, names.unsure)
        plan, problem = written.plan, names.problem or written.problem
        try:
            complete = written.has_programs and _is_active(plan, gateway, settings)
            if not written.has_programs:
                _stop(plan, names, gateway, settings)
            elif not complete:
                _apply(plan, before, names, gateway, settings)
            remove_specs(plan.removed, settings)
            if written.has_programs and not complete:
                set_applied(settings)
            return Reconciled(table, plan, problem, complete, fingerprint(settings))
        except MirrorError as error:
            return Reconciled(table, plan, problem or error)


def read_table(settings: Settings) -> Table:
    """Read the table. Raises DatabaseError."""
    before = current_fingerprint(settings)
    rows = read_rows(settings)
    return Table(rows, desired_state(rows, settings), before)


def current_fingerprint(settings: Settings) -> Fingerprint | None:
    """Return a fingerprint of the state, or None if there is no state yet or it can't be read."""
    with suppress(MirrorError):
        return fingerprint(settings)
    return None


def _check_names(desired: Desired, settings: Settings, gateway: Gateway) -> Names:
    """Return which names can't be used. Raises StateError if the state can't be read.

    A stanza of ours would replace or change somebody else's program of that name, in whatever file it is. So this is
    asked before anything is written. The names in our programs file are ours.
    """
    if not settings.joined:
        return Names({}, frozenset())
    saved = saved_ids(settings)
    new = without_stanza(saved | desired.specs.keys(), settings)
    try:
        taken = taken_names(new, saved, settings, gateway, reload=True)
    except SupervisordError as error:
        return Names({}, new, error)
    return Names(taken, frozenset(taken))


def write(desired: Desired, settings: Settings, forced: Collection[str] = (), unsure: Collection[str] = ()) -> Written:
    """Write the launch specs and the programs file that the desired state asks for. Raises MirrorError if the state
    can't be read. The cameras in `unsure` get no program.

    If the volume can't be used, what would be added or changed waits. If the state can't be written, the cameras wait
    whose specs can't be, or all if the programs file can't be. What is to be removed never waits.
    """
    volume_id = ""
    problem: MirrorError | None = None
    # With HELDAR_RECORDER_ENABLED off nothing is recorded, so the volume need not be there.
    if settings.recorder_enabled:
        try:
            volume_id = open_volume(settings)
        except (VolumeError, StateError) as error:
            problem = error
    desired = desired.on_volume(volume_id)
    _check_known(forced, desired)
    # A camera that is to be removed loses its launch spec, even if somebody else's program has the name of its program.
    unsure = frozenset(unsure) & (desired.specs.keys() | {bad.camera_id for bad in desired.unusable})
    saved = {camera_id: saved for camera_id, saved in read_saved(settings).items() if camera_id not in unsure}
    now = int(time.time())
    everything = desired.specs.keys()
    waiting = everything if problem else unsure
    plan = make_plan(desired, saved, now, forced, waiting)
    failed = write_specs(plan.written, settings)
    if unwritten := failed.keys() & everything:
        plan = make_plan(desired, saved, now, forced, waiting | unwritten)
        problem = problem or _waits(failed[min(unwritten)])
    try:
        write_programs(render_programs(plan.generations, settings), settings)
    except StateError as error:
        return Written(make_plan(desired, saved, now, forced, everything), problem or _waits(error), has_programs=False)
    return Written(plan, problem)


def _waits(error: StateError) -> StateError:
    return StateError(f"{error}. What is to be stopped does not wait for that; the rest is tried again")


def dry_run(settings: Settings, forced: Collection[str] = ()) -> Plan:
    """Return the plan without writing anything. Raises MirrorError."""
    assert settings.mirror_root is not None  # noqa: S101 - the callers check that mirroring is on
    remembered = remembered_volume(settings)
    check_apart_or_remembered(settings, remembered)
    if remembered and settings.recorder_enabled:
        prove(settings.mirror_root, remembered)
    desired = desired_state(read_rows(settings), settings, remembered or "new")
    with suppress(SupervisordError):  # the plan is of use without it
        new = without_stanza(desired.specs, settings)
        desired = desired.without(taken_names(new, saved_ids(settings), settings, Gateway(settings), reload=False))
    _check_known(forced, desired)
    return make_plan(desired, read_saved(settings), int(time.time()), forced)


def read_rows(settings: Settings) -> list[Row]:
    """Return the rows of all cameras, or none if HELDAR_RECORDER_ENABLED is off. Raises DatabaseError."""
    return read_cameras(settings.database) if settings.recorder_enabled else []


def _check_known(forced: Collection[str], desired: Desired) -> None:
    """Raise MirrorError if one of the cameras to be restarted wants no mirror or can't have one."""
    if unknown := sorted(set(forced) - desired.specs.keys()):
        reasons = {bad.camera_id: bad.reason for bad in desired.unusable}
        reasons |= dict.fromkeys(desired.unwanted, "its row asks for no mirror")
        raise MirrorError(*(f"{name}: {reasons.get(name, 'no such camera in the table')}" for name in unknown))


def _is_active(plan: Plan, gateway: Gateway, settings: Settings) -> bool:
    """Return whether supervisord certainly runs just what the plan wants. To have supervisord compare its files would
    cost more than the rest of a reconcile."""
    return is_applied(settings) and recorders_of(gateway.pid(), settings.specs_dir, settings.user) == plan.generations


def _apply(plan: Plan, before: Collection[str], names: Names, gateway: Gateway, settings: Settings) -> None:
    """Have supervisord compute how its files differ from what is active, and apply what concerns our programs.

    `before` are the programs of the programs file before this reconcile. Raises SupervisordError.
    """
    difference = gateway.reload()
    wanted = {program_name(camera_id, settings): camera_id for camera_id in plan.generations}
    ours = wanted.keys() | set(before) | _removed(plan, names, settings)
    shadowed = set[str]()
    if settings.joined:
        # A program that is removed may also have a stanza in somebody else's file, and must not be started from there.
        fresh = {name: wanted[name] for name in (difference.added | difference.changed) & wanted.keys()}
        shadowed = shadowed_names(fresh, settings, gateway) if fresh else shadowed
    else:
        ours |= difference.changed | difference.removed
        fresh = dict.fromkeys((difference.added | difference.changed) & ours, "")
    left = gateway.remove(((difference.changed | difference.removed) & ours) - shadowed)
    gateway.add(sorted(fresh.keys() - left - shadowed))
    _check_stopped(left)
    if shadowed:
        raise SupervisordError(
            f"another stanza in supervisord's files has the name of {len(shadowed)} of our programs, such as "
            f"{min(shadowed)}: what runs is left as it is. Rename that stanza, or set HELDAR_MIRROR_PREFIX"
        )


def _removed(plan: Plan, names: Names, settings: Settings) -> set[str]:
    return {program_name(change.camera_id, settings) for change in plan.removed if change.camera_id not in names.unsure}


def _stop(plan: Plan, names: Names, gateway: Gateway, settings: Settings) -> None:
    """Take out of supervisord what the plan removes, though the programs file still names it. Raises SupervisordError.

    Should supervisord be started again meanwhile, that file starts them again: then their recorders end, since their
    launch specs are gone.
    """
    _check_stopped(gateway.remove(_removed(plan, names, settings)))


def _check_stopped(left: Collection[str]) -> None:
    if left:
        raise SupervisordError(
            f"did not stop within {STOP_TIMEOUT_SECONDS} s: {', '.join(sorted(left))}. All else was applied. "
            "A hung volume? They stop as soon as it answers; then: heldar-mirror reconcile"
        )
