"""What a person, and a machine, see of a plan."""

from click import unstyle
from support.examples import row, settings

from heldar_mirror.cli.reconcile import plan_json, plan_lines
from heldar_mirror.heldar.cameras import Unusable
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.programs.plan import Plan, Saved, make_plan
from heldar_mirror.reconcile.revive import Revival

BAD = Unusable("attic", "no RTSP URL"), Unusable("cellar", "no RTSP URL")


def launch_spec(camera_id: str, **columns: object) -> LaunchSpec:
    specs = desired_state([row(id=camera_id, address="127.0.0.1", **columns)], settings(), "volume").specs
    return specs[camera_id]


def a_plan() -> Plan:
    """A plan with something in each of its groups."""
    desired = Desired(
        {name: launch_spec(name) for name in ("gate", "hall", "lane", "yard")},
        unwanted=frozenset({"shed"}),
        unusable=BAD,
    )
    saved = {
        "attic": Saved(launch_spec("attic"), 7),
        "hall": Saved(launch_spec("hall", segment_seconds=30), 7),
        "lane": Saved(launch_spec("lane"), 7),
        "shed": Saved(launch_spec("shed"), 7),
        "yard": Saved(launch_spec("yard"), 7),
    }
    return make_plan(desired, saved, 1000, forced=["yard"])


DIFF = [
    "+ gate",
    "    rtsp://***@127.0.0.1:554/Streaming/Channels/101 → /mnt/mirror/gate",
    "~ hall",
    "    - -segment_time 30",
    "    + -segment_time 60",
    "~ yard",
    "    restart, as asked for",
    "- shed",
    "    rtsp://***@127.0.0.1:554/Streaming/Channels/101 → /mnt/mirror/shed",
    "! attic: no RTSP URL (what runs for it goes on)",
    "! cellar: no RTSP URL",
]
COUNTS = "1 added, 2 changed, 1 removed, 1 unchanged, 2 unusable"


def test_a_plan_that_is_only_shown() -> None:
    """What would change, as a diff without passwords, and the sum of it."""
    assert list(map(unstyle, plan_lines(a_plan(), None))) == [*DIFF, f"would be: {COUNTS}"]


def test_a_plan_that_was_applied() -> None:
    """The same, with what was found down, and what became of it."""
    revival = Revival(revived=("lane",), stopped=("yard",))
    assert list(map(unstyle, plan_lines(a_plan(), revival))) == [
        *DIFF,
        "= yard: stopped by hand; to start it: heldar-mirror reconcile yard",
        "= lane: had failed for good, and was started again",
        f"applied: {COUNTS}",
    ]


def test_a_plan_for_machines() -> None:
    """The groups by name, with what changes in each camera; what was found down only if the plan was applied."""
    shown = plan_json(a_plan(), None)
    assert shown["applied"] is False
    assert shown["added"].keys() == {"gate"}
    assert shown["changed"] == {
        "hall": ["- -segment_time 30", "+ -segment_time 60"],
        "yard": ["restart, as asked for"],
    }
    assert shown["removed"].keys() == {"shed"}
    assert (shown["unchanged"], shown["kept"]) == (("lane",), ["attic"])
    assert shown["unusable"] == {"attic": "no RTSP URL", "cellar": "no RTSP URL"}
    assert (shown["revived"], shown["stopped_by_hand"]) == ([], [])
    shown = plan_json(a_plan(), Revival(revived=("lane",), stopped=("yard",)))
    assert (shown["applied"], shown["revived"], shown["stopped_by_hand"]) == (True, ("lane",), ("yard",))
