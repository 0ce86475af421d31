"""A mirror root, or a camera directory, that recorders use is kept from all others."""

import subprocess
from pathlib import Path

from support.mirror import Mirror
from support.running import plan_counts, recorders, wait_until_recording

MARKER = ".heldar-mirror"


def test_two_instances_do_not_share_a_root(used: Mirror) -> None:
    """While the recorders of one instance use a root, a second instance can neither take it over nor adopt it."""
    with used.up():
        before = wait_until_recording(used, "gate")
        marker = (used.root / MARKER).read_text()
        other = {"HELDAR_MIRROR_STATE_DIR": str(used.home / "other-state")}
        for command in ("reconcile", "adopt-volume"):
            result = used.run(command, code=6, **other)
            assert f"mirror root {used.root} is in use by recorders" in result.stderr
        assert (used.root / MARKER).read_text() == marker
        assert recorders(used) == before


def test_a_root_is_not_adopted_from_under_our_own_recorders(used: Mirror) -> None:
    """While our own recorders run, `adopt-volume` is refused, without blaming a different instance. Nothing changes."""
    with used.up():
        before = wait_until_recording(used, "gate")
        marker = (used.root / MARKER).read_text()
        result = used.run("adopt-volume", code=6)
        assert f"mirror root {used.root} is in use by recorders" in result.stderr
        assert "recorders of another instance" not in result.stderr
        assert (used.root / MARKER).read_text() == marker
        assert plan_counts(used.run("reconcile")) == {"unchanged": 1}
        assert recorders(used) == before
    used.run("adopt-volume")
    assert (used.root / MARKER).read_text() != marker


def test_a_second_recorder_of_a_camera_is_refused(used: Mirror) -> None:
    """A recorder that is started beside supervisord's says why and waits: a directory has one writer."""
    with used.up():
        before = wait_until_recording(used, "gate")
        command = Path(f"/proc/{before['gate']}/cmdline").read_text().split("\0")[:-1]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout
            said = second.stdout.readline()
            second.terminate()
        assert f"another recorder is writing to {used.root}/gate" in said
        assert recorders(used) == before
