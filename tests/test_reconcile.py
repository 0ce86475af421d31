"""From the cameras table to programs of a real supervisord, with a stand-in for ffmpeg."""

from conftest import Mirror, wait_for


def test_every_mirrored_camera_has_a_program_and_no_other(mirror: Mirror) -> None:
    """Cameras that ask for a mirror are recorded, one that does not is not."""
    mirror.database.add("gate")
    mirror.database.add("hall", mirror_enabled=0)
    with mirror.up():
        wait_for(lambda: mirror.status()["gate"]["well"])
        assert mirror.segments("gate")
        assert not (mirror.root / "hall").exists()
        mirror.run("status")
