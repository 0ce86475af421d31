"""A reconcile that is killed at any of its steps is finished by the next one."""

import itertools
import signal

import pytest
from support.breakable_mirror import kill_at_step, new_watched, processes
from support.mirror import Mirror
from support.running import plan_counts


@pytest.mark.slow
def test_a_reconcile_killed_at_each_of_its_steps_is_finished_by_the_next() -> None:
    """One camera comes, one changes and one goes. Whichever step the reconcile is killed at, the next reconcile ends in
    the right state, and one more finds nothing to do."""
    with new_watched() as watched, watched.mirror.up():
        mirror = watched.mirror
        watched.add("coming0")
        mirror.run("reconcile")
        watched.wait_until_right()
        before = processes(mirror, "gate", "hall")
        for step in itertools.count(1):
            watched.remove(f"coming{step - 1}")
            watched.add(f"coming{step}")
            watched.change("yard", 150 + step)
            killed = kill_at_step(mirror, step)
            healed = mirror.run("reconcile")
            watched.wait_until_right()
            assert processes(mirror, "gate", "hall") == before
            assert plan_counts(mirror.run("reconcile")) == {"unchanged": 4}
            if killed.returncode == 0:
                break
            assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert plan_counts(healed) == {"unchanged": 4}
        for name in ("yard.spec", "programs.conf", "reloadConfig", "removeProcessGroup", "addProcessGroup", "unlink"):
            assert name in killed.stderr


@pytest.mark.slow
def test_a_first_reconcile_killed_at_each_of_its_steps_is_finished_by_the_next(mirror: Mirror) -> None:
    """The mirror root gets its marker once. Whichever step the first reconcile is killed at, the next one knows the
    root as its own."""
    mirror.database.add("gate")
    for step in itertools.count(1):
        state, root = mirror.home / f"state{step}", mirror.home / f"mirror{step}"
        mirror.env |= {"HELDAR_MIRROR_STATE_DIR": str(state), "HELDAR_MIRROR_RECORDINGS_DIR": str(root)}
        killed = kill_at_step(mirror, step)
        mirror.run("reconcile", code=5)  # there is no supervisord yet; what is written is used when it starts
        volume = (root / ".heldar-mirror").read_text().strip()
        assert (state / "volumes").read_text() == f"{volume} {root}\n"
        assert f"volume={volume}\n" in (state / "specs/gate.spec").read_text()
        assert "[program:mirror-gate]" in (state / "programs.conf").read_text()
        if killed.returncode == 5:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    for name in ("mkdir", "open .heldar-mirror", "rename volumes", "rename gate.spec", "rename programs.conf"):
        assert name in killed.stderr
