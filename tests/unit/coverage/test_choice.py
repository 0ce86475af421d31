"""Which cameras' coverage is asked for."""

import pytest

from heldar_mirror.coverage.choice import UnknownCameraError, choose

TABLE = {"gate", "hall", "yard"}


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ((), ["gate", "yard"]),
        (("yard",), ["yard"]),
        (("yard", "gate", "yard"), ["gate", "yard"]),
        (("hall", "shed"), ["hall", "shed"]),
    ],
)
def test_what_is_chosen(asked: tuple[str, ...], chosen: list[str]) -> None:
    """All mirrored cameras; or those that were asked for, mirrored or not, in the table or with a directory alone."""
    assert choose(asked, {"yard", "gate"}, TABLE, {"shed", "gate"}) == chosen


@pytest.mark.parametrize(
    ("asked", "known", "expected"),
    [
        ("gte", TABLE, "'gte' is no camera in Heldar's table, and has no directory on either side: expected gate"),
        ("gate_02", {"gate_01", "gate_03", "yard"}, "expected gate_03 or gate_01"),
        ("x" * 10_000, TABLE, f"'{'x' * 100}' is no camera"),
        ("attic", TABLE, "expected one of the 3 cameras, such as gate"),
        ("attic", set(), "expected one, but there is none"),
    ],
)
def test_a_camera_that_is_nowhere(asked: str, known: set[str], expected: str) -> None:
    """The error suggests what may be meant."""
    with pytest.raises(UnknownCameraError) as caught:
        choose([asked], (), known, ())
    assert expected in str(caught.value)
