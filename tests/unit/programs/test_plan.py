"""The plan: how the desired state differs from what is saved."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import camera_ids, row, settings, texts

from heldar_mirror.heldar.cameras import Unusable
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.programs.plan import Saved, make_plan
from heldar_mirror.programs.stanzas import render_programs

NOW = 1000
BAD = Unusable("gate", "no RTSP URL")


def launch_spec(camera_id: str = "gate", /, **columns: object) -> LaunchSpec:
    return desired_state([row(id=camera_id, **columns)], settings(), "volume").specs[camera_id]


SPEC, OTHER = launch_spec(), launch_spec(segment_seconds=30)


@pytest.mark.parametrize(
    ("desired", "saved", "forced", "expected", "generation"),
    [
        (Desired({}), {}, (), "", None),
        (Desired({"gate": SPEC}), {}, (), "added", NOW),
        (Desired({"gate": SPEC}), {}, ("gate",), "added", NOW),
        (Desired({"gate": SPEC}), {"gate": Saved(SPEC, 7)}, (), "unchanged", 7),
        (Desired({"gate": SPEC}), {"gate": Saved(SPEC, 7)}, ("hall",), "unchanged", 7),
        (Desired({"gate": SPEC}), {"gate": Saved(SPEC, 7)}, ("gate",), "changed", NOW),
        (Desired({"gate": SPEC}), {"gate": Saved(OTHER, 7)}, (), "changed", NOW),
        (Desired({"gate": SPEC}), {"gate": Saved(OTHER, NOW)}, (), "changed", NOW + 1),
        (Desired({"gate": SPEC}), {"gate": Saved(OTHER, NOW + 50)}, (), "changed", NOW + 51),
        (Desired({"gate": SPEC}), {"gate": Saved(SPEC, NOW + 50)}, ("gate",), "changed", NOW + 51),
        (Desired({"gate": SPEC}), {"gate": Saved(None, 0)}, (), "changed", NOW),
        (Desired({}), {"gate": Saved(SPEC, 7)}, (), "removed", None),
        (Desired({}), {"gate": Saved(None, 0)}, (), "removed", None),
        (Desired({}, unwanted=frozenset({"gate"})), {"gate": Saved(SPEC, 7)}, (), "removed", None),
        (Desired({}, unusable=(BAD,)), {}, (), "", None),
        (Desired({}, unusable=(BAD,)), {"gate": Saved(SPEC, 7)}, (), "kept", 7),
        (Desired({}, unusable=(BAD,)), {"gate": Saved(SPEC, 7)}, ("gate",), "kept", 7),
        (Desired({}, unusable=(BAD,)), {"gate": Saved(None, 0)}, (), "kept", 0),
    ],
)
def test_the_plan_for_one_camera(
    desired: Desired, saved: dict[str, Saved], forced: tuple[str, ...], expected: str, generation: int | None
) -> None:
    """A camera is in at most one group of the plan. Its generation in the programs file is as expected."""
    plan = make_plan(desired, saved, NOW, forced)
    groups = {name: [c.camera_id for c in getattr(plan, name)] for name in ("added", "changed", "removed")}
    groups |= {"unchanged": list(plan.unchanged), "kept": sorted(plan.kept)}
    assert [name for name, ids in groups.items() if ids == ["gate"]] == ([expected] if expected else [])
    assert plan.generations == ({} if generation is None else {"gate": generation})
    assert [c.generation for c in plan.added + plan.changed] == [generation] * (expected in {"added", "changed"})
    assert plan.written == plan.added + plan.changed + tuple(c for c in plan.removed if c.existing)
    assert plan.unusable == desired.unusable


@pytest.mark.parametrize("camera_id", ["x" * 61, "x" * 100])
def test_a_camera_with_a_long_id_goes_on_when_its_row_becomes_unusable(camera_id: str) -> None:
    """A camera with an id of any length is found by it, and kept."""
    saved = {camera_id: Saved(launch_spec(camera_id), 7)}
    plan = make_plan(desired_state([row(id=camera_id, address=None)], settings(), "volume"), saved, NOW)
    assert plan.kept == {camera_id}
    assert plan.removed == ()
    assert plan.generations == {camera_id: 7}


def test_cameras_are_planned_independently_and_in_order() -> None:
    """Each group of the plan is sorted by id, in whatever order the table is."""
    specs = {name: launch_spec(name) for name in ("new2", "new1", "same", "other", "gone", "kept")}
    desired = Desired(
        {name: specs[name] for name in ("same", "new2", "other", "new1")}, unusable=(Unusable("kept", "x"),)
    )
    saved = {name: Saved(specs[name], 7) for name in ("kept", "gone", "same")} | {"other": Saved(OTHER, 7)}
    plan = make_plan(desired, saved, NOW)
    assert [change.camera_id for change in plan.added] == ["new1", "new2"]
    assert [change.camera_id for change in plan.changed] == ["other"]
    assert [(change.camera_id, change.new) for change in plan.removed] == [("gone", None)]
    assert plan.unchanged == ("same",)
    assert plan.kept == {"kept"}
    assert plan.generations == {"new1": NOW, "new2": NOW, "other": NOW, "same": 7, "kept": 7}


def test_a_camera_that_waits_is_left_as_it_is_and_holds_back_nothing() -> None:
    """It is neither added nor changed. If it has a launch spec, that stays in force. The others are planned."""
    specs = {name: launch_spec(name) for name in ("new1", "new2", "old1", "old2", "gone")}
    desired = Desired({name: specs[name] for name in ("new1", "new2", "old1", "old2")})
    saved = {"old1": Saved(OTHER, 7), "old2": Saved(OTHER, 7), "gone": Saved(specs["gone"], 7)}
    plan = make_plan(desired, saved, NOW, waiting={"new1", "old1"})
    assert [change.camera_id for change in plan.written] == ["new2", "old2", "gone"]
    assert plan.kept == {"old1"}
    assert plan.generations == {"new2": NOW, "old1": 7, "old2": NOW}


rows = st.fixed_dictionaries(
    {
        "password": st.sampled_from(["one", "two", "two\n"]),
        "segment_seconds": st.integers(1, 3),
        "record_audio": st.integers(0, 1),
        "address": st.sampled_from(["10.0.0.1", " 10.0.0.1", "::1"]),
    }
)


@given(
    camera_id=camera_ids,
    before=rows,
    after=rows,
    generation=st.integers(0, 2**40),
    now=st.integers(0, 2**40),
    forced=st.booleans(),
)
def test_a_stanza_changes_if_and_only_if_the_launch_spec_does_or_a_restart_is_asked_for(
    *, camera_id: str, before: dict[str, object], after: dict[str, object], generation: int, now: int, forced: bool
) -> None:
    """supervisord's diff finds a changed password, and restarts nothing else. A second run changes nothing."""
    old, new = launch_spec(camera_id, **before), launch_spec(camera_id, **after)
    saved, desired = {camera_id: Saved(old, generation)}, Desired({camera_id: new})
    plan = make_plan(desired, saved, now, {camera_id} if forced else ())
    stanzas = [render_programs(found, settings()) for found in ({camera_id: generation}, plan.generations)]
    assert (stanzas[0] != stanzas[1]) == (old != new or forced)
    assert plan.generations[camera_id] >= generation

    again = make_plan(desired, {camera_id: Saved(new, plan.generations[camera_id])}, now)
    assert (again.written, again.removed, again.generations) == ((), (), plan.generations)


@pytest.mark.parametrize(
    ("existing", "new", "forced", "lines"),
    [
        (None, SPEC, False, ["rtsp://***@10.0.0.1:554/Streaming/Channels/101 → /mnt/mirror/gate"]),
        (SPEC, None, False, ["rtsp://***@10.0.0.1:554/Streaming/Channels/101 → /mnt/mirror/gate"]),
        (SPEC, OTHER, False, ["- -segment_time 60", "+ -segment_time 30"]),
        (SPEC, launch_spec(record_audio=1), False, ["- -an", "+ -c:a copy"]),
        (
            SPEC,
            launch_spec(address="10.0.0.2", password="another"),
            False,
            [
                "- -i rtsp://***@10.0.0.1:554/Streaming/Channels/101",
                "+ -i rtsp://***@10.0.0.2:554/Streaming/Channels/101",
            ],
        ),
        *((SPEC, launch_spec(password=word), False, ["credentials"]) for word in ("another", "copy", "10", "***")),
        (SPEC, desired_state([row()], settings(), "other").specs["gate"], False, ["the volume was adopted anew"]),
        (SPEC, SPEC, True, ["restart, as asked for"]),
    ],
)
def test_a_change_is_shown_as_a_diff_without_secrets(
    existing: LaunchSpec | None, new: LaunchSpec | None, forced: bool, lines: list[str]
) -> None:
    """Each changed option is shown. Of a changed credential only the word `credentials` is shown."""
    saved = {"gate": Saved(existing, 7)} if existing else {}
    plan = make_plan(Desired({"gate": new} if new else {}), saved, NOW, {"gate"} if forced else ())
    (change,) = plan.added + plan.changed + plan.removed
    assert list(change.lines()) == lines


@pytest.mark.parametrize(
    ("desired", "lines"),
    [
        (Desired({"gate": SPEC}), ["rtsp://***@10.0.0.1:554/Streaming/Channels/101 → /mnt/mirror/gate"]),
        (Desired({}), ["its launch spec is damaged"]),
    ],
)
def test_a_damaged_launch_spec_is_shown_by_what_replaces_it(desired: Desired, lines: list[str]) -> None:
    """If nothing replaces it, the plan says that the launch spec is damaged."""
    plan = make_plan(desired, {"gate": Saved(None, 0)}, NOW)
    assert [list(change.lines()) for change in (*plan.changed, *plan.removed)] == [lines]


# The marks around each password can't stand in a URL by chance.
passwords = texts.map("qqx{}xqq".format)
places = st.sampled_from([None, "rtsp://u:{}@h/x", "rtsp://h/?password={}", "rtsp://h/user=u_password={}_channel=1"])


@given(passwords, passwords, places, places)
@example("qqx/xqq", "qqx'xqq", "rtsp://u:{}@h/x", "rtsp://h/?password={}")
def test_no_change_shows_a_secret(before: str, after: str, place: str | None, other_place: str | None) -> None:
    """Neither the old nor the new password is shown, wherever it stands."""
    columns: list[dict[str, object]] = [
        {"password": password, "main_stream_url": where and where.format("".join(filter(str.isalnum, password)))}
        for password, where in ((before, place), (after, other_place))
    ]
    old, new = (launch_spec(**each) for each in columns)
    changes = [(Desired({"gate": new}), old), (Desired({"gate": new}), None), (Desired({}), old)]
    for desired, existing in changes:
        plan = make_plan(
            desired, {"gate": Saved(existing, 7)} if existing else {}, NOW, {"gate"} & desired.specs.keys()
        )
        (change,) = plan.added + plan.changed + plan.removed
        assert "qqx" not in "\n".join(change.lines())
    assert "qqx" not in repr(changes)


def test_a_camera_that_returns_before_its_removal_gets_a_changed_stanza() -> None:
    """A reconcile killed between stop and removal leaves a stopped program, which only a changed stanza starts."""
    (leaving,) = make_plan(Desired({}), {"gate": Saved(SPEC, 7)}, NOW).written
    assert leaving.generation > 7
    again = make_plan(Desired({"gate": SPEC}), {"gate": Saved(SPEC, leaving.generation)}, NOW)
    assert again.generations["gate"] > 7
