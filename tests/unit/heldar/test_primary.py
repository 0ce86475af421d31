"""What Heldar's rows say of the primary's recording."""

from zoneinfo import ZoneInfo

import pytest

from heldar_mirror.heldar.cameras import CameraError
from heldar_mirror.heldar.primary import Limits, PrimaryCamera, parse_limits, parse_primary_camera, parse_zone
from heldar_mirror.heldar.retention import Policy

ROW = {
    "id": "gate",
    "enabled": 1,
    "record_enabled": 1,
    "mirror_enabled": 1,
    "segment_seconds": 60,
    "retention_hours": 24,
    "storage_quota_bytes": None,
    "record_mode": "continuous",
    "created_at": "1970-01-01T00:00:50Z",
    "updated_at": "1970-01-01T00:01:40Z",
}
ENV = Limits(20 << 30, 5 << 30)


def test_a_row_becomes_a_camera() -> None:
    policy = Policy(86_400, None, 60)
    assert parse_primary_camera(ROW) == PrimaryCamera("gate", True, True, "continuous", policy, 50, 100)


def test_a_camera_that_is_not_recorded_is_not_mirrored() -> None:
    camera = parse_primary_camera(ROW | {"record_enabled": 0, "updated_at": "some day"})
    assert (camera.is_recorded, camera.is_mirrored, camera.updated_at) == (False, False, None)
    assert parse_primary_camera(ROW | {"mirror_enabled": 0}).is_recorded


@pytest.mark.parametrize("changes", [{"id": "../x"}, {"retention_hours": "24"}, {"enabled": 2}])
def test_a_bad_row_is_an_error(changes: dict[str, object]) -> None:
    with pytest.raises(CameraError):
        parse_primary_camera(ROW | changes)


@pytest.mark.parametrize(
    ("rows", "limits"),
    [
        ([], ENV),
        ([("recording_max_bytes", "1000")], Limits(1000, ENV.min_free_bytes)),
        ([("recording_max_bytes", "0")], ENV),
        ([("recording_min_free_bytes", "0")], Limits(ENV.max_bytes, 0)),
        ([("recording_min_free_bytes", "-1")], ENV),
        ([("recording_max_bytes", "many"), ("recording_min_free_bytes", b"\xff")], ENV),
    ],
)
def test_limits_that_were_set_in_heldar_win(rows: list[tuple[str, object]], limits: Limits) -> None:
    assert parse_limits([{"key": key, "value": value} for key, value in rows], ENV) == limits


def test_the_zone_is_the_one_of_heldar() -> None:
    """The one in its settings, or in its env file, or this machine's."""
    rows = [{"key": "default_timezone", "value": "Asia/Kathmandu"}]
    assert parse_zone(rows, "Europe/Berlin") == ZoneInfo("Asia/Kathmandu")
    assert parse_zone([], ":Europe/Berlin") == ZoneInfo("Europe/Berlin")
    assert parse_zone([{"key": "default_timezone", "value": " "}], None) is None


@pytest.mark.parametrize("name", ["Middle-earth/Shire", "../../etc/passwd", "CET-1CEST,M3.5.0,M10.5.0/3", "a\0b", "/x"])
def test_a_zone_that_is_not_known_is_told(name: str) -> None:
    with pytest.raises(ValueError, match=r"Heldar's time zone '.*' is not known here"):
        parse_zone([], name)
