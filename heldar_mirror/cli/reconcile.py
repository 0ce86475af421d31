"""`heldar-mirror reconcile`."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from heldar_mirror.cli.common import become_user, get_ready, settings_if_on, show
from heldar_mirror.cli.lines import style
from heldar_mirror.programs.plan import Plan
from heldar_mirror.reconcile.reconcile import dry_run as plan_only
from heldar_mirror.reconcile.reconcile import reconcile
from heldar_mirror.reconcile.revive import Revival, revive
from heldar_mirror.status.advice import how_to_start


@click.command("reconcile")
@click.argument("camera_ids", metavar="[ID]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(camera_ids: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Apply what the cameras table asks for, and restart the cameras that are named."""
    settings = settings_if_on(as_json=as_json)
    if dry_run:
        become_user(settings)
        plan, revival = plan_only(settings, camera_ids), None
    else:
        get_ready(settings)
        done = reconcile(settings, camera_ids)
        if done.problem:
            raise done.problem
        plan, revival = done.plan, Revival() if done.complete else revive(settings)
    if as_json:
        click.echo(json.dumps(plan_json(plan, revival), indent=2))
    else:
        show(plan_lines(plan, revival))
    sys.exit(1 if plan.unusable else 0)


def plan_json(plan: Plan, revival: Revival | None) -> dict[str, Any]:
    """Return a plan as `reconcile --json` prints it. `revival` is None for a plan that was not applied."""
    groups = {"added": plan.added, "changed": plan.changed, "removed": plan.removed}
    return {
        "applied": revival is not None,
        **{name: {c.camera_id: list(c.lines()) for c in changes} for name, changes in groups.items()},
        "unchanged": plan.unchanged,
        "unusable": {bad.camera_id: bad.reason for bad in plan.unusable},
        "kept": sorted(plan.kept),
        "revived": revival.revived if revival else [],
        "stopped_by_hand": revival.stopped if revival else [],
    }


def plan_lines(plan: Plan, revival: Revival | None) -> Iterator[str]:
    """Yield a plan as a diff, and then the programs that were down. `revival` is None if the plan was not applied."""
    for sign, color, changes in (("+", "green", plan.added), ("~", "yellow", plan.changed), ("-", "red", plan.removed)):
        for change in changes:
            yield style(f"{sign} {change.camera_id}", color)
            yield from (f"    {line}" for line in change.lines())
    for bad in plan.unusable:
        kept = " (what runs for it goes on)" if bad.camera_id in plan.kept else ""
        yield style(f"! {bad.camera_id}: {bad.reason}{kept}", "red")
    for camera_id in revival.stopped if revival else ():
        yield style(f"= {camera_id}: stopped by hand; {how_to_start(camera_id)}", "yellow")
    for camera_id in revival.revived if revival else ():
        yield style(f"= {camera_id}: had failed for good, and was started again", "yellow")
    counts = {
        "added": plan.added,
        "changed": plan.changed,
        "removed": plan.removed,
        "unchanged": plan.unchanged,
        "unusable": plan.unusable,
    }
    summary = ", ".join(f"{len(cameras)} {name}" for name, cameras in counts.items())
    yield style(f"{'applied' if revival else 'would be'}: {summary}", bold=True)
