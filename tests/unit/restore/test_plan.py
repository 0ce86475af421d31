"""A plan adds up, and is the same in JSON."""

import json

from heldar_mirror.restore.plan import CameraPlan, LeftOut, NewFile, Piece, RestorePlan, merged


def file(camera_id: str, begun: int) -> NewFile:
    return NewFile(camera_id, begun, (Piece(begun - 1, (3, 7), begun - 2.5),), begun + 0.5, begun + 60.5, 1000)


PLAN = RestorePlan(
    0,
    3600,
    1.0,
    free_before=10_000,
    cameras=[
        CameraPlan("gate", [file("gate", 120), file("gate", 0)], [LeftOut("gate", 200, 230, "it is odd")], ["odd"]),
        CameraPlan("yard", [file("yard", 60)]),
    ],
)


def test_the_free_space_afterwards() -> None:
    assert (PLAN.bytes, PLAN.free_after) == (3000, 7000)
    assert RestorePlan(0, 3600, 1.0).free_after is None


def test_what_follows_for_the_same_reason_is_one() -> None:
    """Also if a second seems to be between, as with files whose names are cut to seconds."""
    left_out = [
        LeftOut("gate", 60.9, 120, "full"),
        LeftOut("yard", 120, 180, "full"),
        LeftOut("gate", 0, 60, "full"),
        LeftOut("gate", 121.5, 180, "full"),
        LeftOut("gate", 10, 20, "full"),
        LeftOut("gate", 30, 40, "odd"),
    ]
    assert merged(left_out) == [
        LeftOut("gate", 0, 120, "full"),
        LeftOut("gate", 30, 40, "odd"),
        LeftOut("gate", 121.5, 180, "full"),
        LeftOut("yard", 120, 180, "full"),
    ]
    assert merged([]) == []


def test_a_plan_as_json() -> None:
    found = json.loads(json.dumps(PLAN.to_json()))
    assert found["version"] == 1
    assert found["totals"] == {"files": 3, "bytes": 3000, "seconds": 180, "seconds_left_out": 30}
    assert (found["free_before"], found["free_after"]) == (10_000, 7000)
    gate, yard = found["cameras"]
    assert gate["files"][0] == {
        "name": "19700101_000200.mp4",
        "begin": 120.5,
        "end": 180.5,
        "bytes": 1000,
        "has_row": False,
        "pieces": [{"segment": "19700101_000159.mp4", "fragments": [3, 7]}],
    }
    assert gate["left_out"] == [{"begin": 200, "end": 230, "reason": "it is odd"}]
    assert (gate["problems"], yard["left_out"], yard["problems"]) == (["odd"], [], [])
