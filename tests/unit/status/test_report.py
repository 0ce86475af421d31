"""The report that follows from the facts."""

import json

import pytest
from support.known_facts import AWAY, BEGUN, NO_URL, SEGMENT, STALL, UNAUTHORIZED, desired, facts

from heldar_mirror import __version__
from heldar_mirror.heldar.cameras import Unusable
from heldar_mirror.programs.desired import Desired
from heldar_mirror.status.facts import Facts
from heldar_mirror.status.report import CameraStatus, make_report
from heldar_mirror.supervisord.gateway import Process


def only(known: Facts) -> CameraStatus:
    (camera,) = make_report(known, []).cameras
    return camera


@pytest.mark.parametrize(
    ("row_says", "state", "seen", "wanted", "well"),
    [
        ("wanted", "RUNNING", ("segment",), True, True),
        ("wanted", "RUNNING", ("ffmpeg",), True, False),
        ("wanted", "EXITED", (), True, False),
        ("wanted", None, (), True, False),
        ("unwanted", None, (), False, True),
        ("unwanted", "STOPPED", (), False, True),
        ("unwanted", "RUNNING", ("segment",), False, False),
        ("unusable", None, (), None, False),
        ("unusable", "RUNNING", ("segment",), None, False),
        ("nothing", "RUNNING", ("segment",), None, False),
    ],
)
def test_which_mirrors_are_well(
    row_says: str, state: str | None, seen: tuple[str, ...], wanted: bool | None, well: bool
) -> None:
    """A mirror is well if it records exactly if its row says so."""
    camera = only(facts(row_says, state, *seen))
    assert (camera.wanted, camera.well) == (wanted, well)
    assert make_report(facts(row_says, state, *seen), []).well == well


def test_a_program_is_shown_with_supervisords_own_word() -> None:
    """State and time are supervisord's; without a program there is neither."""
    camera = only(facts("wanted", "RUNNING", "segment"))
    assert (camera.activity, camera.state, camera.since, camera.segment) == ("recording", "RUNNING", BEGUN, SEGMENT)
    camera = only(facts("wanted"))
    assert (camera.activity, camera.state, camera.since, camera.segment) == ("starting", None, None, None)


def test_an_error_comes_with_its_time_and_advice() -> None:
    """While a mirror isn't well there is advice about its last error; afterwards the error alone is left."""
    camera = only(facts("wanted", "FATAL", error=UNAUTHORIZED))
    assert (camera.last_error, camera.last_error_at) == (UNAUTHORIZED, BEGUN)
    assert camera.advice == (
        "the camera refuses the user or the password that Heldar has for it; "
        "to try at once: heldar-mirror reconcile gate"
    )
    camera = only(facts("wanted", "RUNNING", "segment", error=UNAUTHORIZED))
    assert (camera.last_error, camera.last_error_at, camera.advice) == (UNAUTHORIZED, BEGUN, None)


def test_why_a_row_cannot_be_used_comes_before_what_its_log_says() -> None:
    """It is what has to be mended first; it has no time, since it is so now."""
    camera = only(facts("unusable", "EXITED", error=AWAY))
    assert (camera.last_error, camera.last_error_at, camera.advice) == (NO_URL, None, None)


def test_all_cameras_of_table_and_supervisord_are_reported_in_order() -> None:
    """Each is there once: those of the table, and those of which only a program is left."""
    known = Facts(
        desired=Desired(desired("wanted").specs, frozenset({"hall"}), (Unusable("attic", NO_URL),)),
        programs={"yard": Process("RUNNING", 1, 2), "gate": Process("RUNNING", 1, 3)},
        segments={},
        ffmpegs=(),
        errors={},
        programs_known=True,
        files_known=True,
    )
    report = make_report(known, ["the disk hangs"])
    assert [(camera.camera_id, camera.wanted, camera.activity) for camera in report.cameras] == [
        ("attic", None, "unusable"),
        ("gate", True, "starting"),
        ("hall", False, "not wanted"),
        ("yard", None, "starting"),
    ]
    assert report.problems == ("the disk hangs",)
    assert report.known


def test_a_stall_is_marked_for_machines() -> None:
    """A camera that sends no media is stalled, and no other."""
    assert only(facts("wanted", "RUNNING", "ffmpeg", error=STALL)).stalled
    assert not only(facts("wanted", "RUNNING", "segment", error=STALL)).stalled


@pytest.mark.parametrize("unseen", ["no files", "no supervisord"])
def test_what_cannot_be_seen_makes_the_report_uncertain(unseen: str) -> None:
    """It says so, so that nobody takes 'no segment' for 'nothing is recorded'."""
    assert not make_report(facts("wanted", None, unseen), []).known


def test_machines_get_it_all() -> None:
    """The JSON has the version, and of each camera its activity beside supervisord's state, advice and wellness."""
    report = json.loads(json.dumps(make_report(facts("wanted", "RUNNING", error=AWAY), ["late"]).to_json()))
    (camera,) = report.pop("cameras")
    assert report.pop("at") > BEGUN - 1e9
    assert report == {"well": False, "problems": ["late"], "known": True, "version": __version__}
    assert camera == {
        "camera_id": "gate",
        "wanted": True,
        "activity": "waiting",
        "state": "RUNNING",
        "since": BEGUN,
        "segment": None,
        "stalled": False,
        "last_error": AWAY,
        "last_error_at": BEGUN,
        "advice": "is the camera on, and is its address right?",
        "well": False,
    }
    (camera,) = make_report(facts("wanted", "RUNNING", "segment"), []).to_json()["cameras"]
    assert camera["segment"] == {"path": SEGMENT.path, "size_bytes": SEGMENT.size_bytes, "begun": BEGUN}
    assert (camera["advice"], camera["well"]) == (None, True)
