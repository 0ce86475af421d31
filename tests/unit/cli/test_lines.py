"""Whatever comes from outside, commands print lines that a terminal only shows."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import get_args

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import HOSTILE, is_harmless

from heldar_mirror.cli.common import log, show, warn
from heldar_mirror.cli.lines import shown, style
from heldar_mirror.cli.prune import prune_lines
from heldar_mirror.cli.reconcile import plan_lines
from heldar_mirror.cli.status import status_lines
from heldar_mirror.cli.table import aligned
from heldar_mirror.errors import MirrorError
from heldar_mirror.heldar.cameras import Unusable
from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.programs.plan import Change, Plan
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.reconcile.revive import Revival
from heldar_mirror.recorder.log import printable
from heldar_mirror.status.activity import Activity
from heldar_mirror.status.report import CameraStatus, Report

SPEC = LaunchSpec(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (), (HOSTILE, "-i", HOSTILE))
OTHER = replace(SPEC, args=(HOSTILE * 2,))
CHANGES = tuple(Change(HOSTILE, old, new, 1) for old, new in ((None, SPEC), (SPEC, None), (SPEC, OTHER)))
PLAN = Plan(CHANGES, CHANGES, CHANGES, (HOSTILE,), (Unusable(HOSTILE, HOSTILE),), frozenset([HOSTILE]), {})
CAMERAS = tuple(
    CameraStatus(
        camera_id=HOSTILE,
        wanted=wanted,
        activity=activity,
        state=HOSTILE,
        since=1,
        stalled=False,
        segment=Segment(HOSTILE, 1, 1.0),
        last_error=HOSTILE,
        last_error_at=at,
        advice=HOSTILE,
    )
    for wanted in (True, False, None)
    for activity in get_args(Activity)
    for at in (1.0, None)
)
PRUNED = Pruned(problems=[HOSTILE], shortages=[HOSTILE], directories=[HOSTILE], waiting={HOSTILE: 1.0})

SHOWN: dict[str, Iterable[str]] = {
    "status": list(status_lines(Report(1.0, CAMERAS, (HOSTILE,), known=True), 80)),
    "plan": list(plan_lines(PLAN, Revival((HOSTILE,), (HOSTILE,)))),
    "prune": list(prune_lines(PRUNED, 80, dry_run=True)),
    "table": list(aligned((HOSTILE, HOSTILE), "<>", [(HOSTILE, HOSTILE)] * 2, 10, {HOSTILE})),
    "plain": [HOSTILE],
}


@pytest.mark.parametrize("lines", SHOWN.values(), ids=SHOWN)
def test_no_line_holds_more_than_text_and_our_colours(lines: Iterable[str]) -> None:
    """Names and errors of others can't move the cursor, change a colour, or begin a line that looks like ours."""
    for line in lines:
        assert is_harmless(shown(line)), shown(line)


@given(st.text())
def test_a_styled_text_keeps_its_colour_alone(text: str) -> None:
    """Whatever is in a text, it is shown between the codes of our own style."""
    line = shown(style(text, "red"))
    assert line == click.style(printable(text), "red")
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
    assert not text.isprintable() or printable(text) == text


def test_all_ways_to_print_make_text_printable(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings, lines of the log, lines of commands and errors each stay within their lines."""
    error = MirrorError(f"cannot read {HOSTILE}", "a second line")
    warn(HOSTILE.replace("\n", ""))
    log(str(error))
    show([HOSTILE])
    out, err = capsys.readouterr()
    lines = [*out.splitlines(), *err.splitlines()]
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
    assert re.fullmatch(r"\S+Z cannot read .*", lines[2])
    assert lines[3].endswith("Z a second line")
