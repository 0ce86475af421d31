"""The child processes that ask volumes: one answers many questions, blocks nobody, and does not outlive its owner."""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.mirror import Mirror
from support.mounts import frozen, mounted, tmpfs
from support.running import kill, wait_until_recording
from support.users import STRANGER_UID, as_root
from support.waiting import processes_of, wait_for
from support.watched import watcher_pid

from heldar_mirror.errors import HungError, VolumeError
from heldar_mirror.volume.apart import check_apart
from heldar_mirror.volume.asking import ASK_VOLUME, dismiss
from heldar_mirror.volume.marker import check_room, prove

MARKER = ".heldar-mirror"

# Asks once, says so, and runs the rest, which is filled in.
ASKER = """
import subprocess, sys, time
from pathlib import Path
from heldar_mirror.state.identity import become
from heldar_mirror.volume.marker import check_room, prove
root = Path(sys.argv[1])
prove(root, "ours")
print("asked", flush=True)
{}
"""


@pytest.fixture(autouse=True)
def _dismissed() -> Iterator[None]:
    """There is no child before and after each test."""
    dismiss()
    yield
    dismiss()


@pytest.fixture
def root(home: Path) -> Path:
    """A mirror root with a marker."""
    return marked(home / "mirror")


def marked(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    (root / MARKER).write_text("ours\n")
    return root


def by_state(parent: int) -> dict[int, str]:
    """Return the children of a process that ask volumes, with their state: S waits for a question, D is stuck in a call
    that no signal ends."""
    found = {}
    for pid in processes_of(ASK_VOLUME.name):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, its_parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
            if int(its_parent) == parent and state != "Z":
                found[pid] = state
    return found


def children(parent: int) -> list[int]:
    return list(by_state(parent))


def states(parent: int) -> list[str]:
    return list(by_state(parent).values())


def test_one_child_answers_many_questions(root: Path) -> None:
    """The same child gives answers and refusals, for any path. It looks again for each question."""
    prove(root, "ours")
    (child,) = children(os.getpid())
    odd = root.with_name("a b\n'ü\udcff")
    odd.symlink_to(root)
    assert check_room(odd, "ours") == root.resolve()
    with pytest.raises(VolumeError, match="another volume"):
        prove(root, "another")
    with pytest.raises(VolumeError, match="is, holds or lies in"):
        check_apart(root, root)
    (root / MARKER).unlink()
    with pytest.raises(VolumeError, match="has lost its marker"):
        prove(root, "ours")
    marked(root)
    prove(root, "ours")
    assert children(os.getpid()) == [child]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_was_killed_between_two_questions(root: Path, number: int) -> None:
    """If a child is killed between two questions, a new child answers the next one."""
    for _ in range(5):
        prove(root, "ours")
        (child,) = children(os.getpid())
        os.kill(child, number)
        prove(root, "ours")
        (other,) = children(os.getpid())
        assert other != child


def test_questions_from_many_threads(home: Path) -> None:
    """Each thread gets its own answers. There are no more children than threads, and to kill some does no harm."""
    roots = [marked(home / f"mirror{number}") for number in range(8)]

    def ask(root: Path) -> None:
        for number in range(30):
            assert check_room(root, "ours") == root.resolve()
            with pytest.raises(VolumeError, match=f"{root} holds the marker of another"):
                prove(root, f"another {number}")

    with ThreadPoolExecutor(len(roots)) as pool:
        list(pool.map(ask, roots))
    waiting = children(os.getpid())
    assert 1 <= len(waiting) <= len(roots)
    for child in waiting[::2]:
        kill(child)
    with ThreadPoolExecutor(len(roots)) as pool:
        list(pool.map(ask, roots))


@as_root
def test_between_two_questions_a_volume_is_left_alone(home: Path) -> None:
    """After an answer or a refusal the volume can be unmounted and adopted. The next question is about what is mounted
    then."""
    root = home / "mirror"
    with tmpfs(root, 200):
        marked(root)
        check_room(root, "ours")
        with pytest.raises(VolumeError, match="another volume"):
            prove(root, "another")
        assert len(children(os.getpid())) == 1
        subprocess.run(["flock", "--exclusive", "--nonblock", str(root / MARKER), "true"], check=True)
        subprocess.run(["umount", str(root)], check=True)
        with pytest.raises(VolumeError, match="has lost its marker"):
            prove(root, "ours")
        with tmpfs(root, 200):
            marked(root)
            prove(root, "ours")


@as_root
@pytest.mark.slow
def test_a_volume_that_hangs_keeps_only_its_own_question_waiting(home: Path) -> None:
    """A question about a hung volume blocks one child, however often it is asked. Others are answered, and so is this
    one when the volume is back."""
    image, root, other = home / "image", home / "mirror", marked(home / "other")
    subprocess.run(["mkfs.ext4", "-q", str(image), "200M"], check=True)
    with mounted(root, "-o", "loop", image):
        marked(root)
        check_room(root, "ours")
        with frozen(root):
            with ThreadPoolExecutor() as pool:
                hung = pool.submit(check_room, root, "ours")
                wait_for(lambda: "D" in states(os.getpid()), seen=lambda: states(os.getpid()))
                check_room(other, "ours")
                prove(root, "ours")
                assert "D" in states(os.getpid())
                with pytest.raises(HungError, match="does not answer within"):
                    hung.result()
            for _ in range(3):
                with pytest.raises(HungError):
                    check_room(root, "ours")
                check_room(other, "ours")
            wait_for(lambda: sorted(states(os.getpid())) == ["D", "S"], seen=lambda: states(os.getpid()))
            dismiss()
            assert states(os.getpid()) == ["D"]
        wait_for(lambda: not children(os.getpid()))
        check_room(root, "ours")


@as_root
@pytest.mark.slow
def test_a_process_ends_though_its_child_is_stuck(home: Path) -> None:
    """A process is told that the volume hangs, and ends without waiting for its child. The child ends when it can."""
    image, root = home / "image", home / "mirror"
    subprocess.run(["mkfs.ext4", "-q", str(image), "200M"], check=True)
    with mounted(root, "-o", "loop", image):
        process = asker(marked(root), "sys.stdin.read(); check_room(root, 'ours')")
        (child,) = children(process.pid)
        with frozen(root):
            assert process.stdin
            assert process.stdout
            process.stdin.close()
            assert process.wait(180) == 1
            assert any("does not answer within" in line for line in process.stdout)
            assert child in processes_of(ASK_VOLUME.name)
        process.stdout.close()
        wait_for(lambda: child not in processes_of(ASK_VOLUME.name))


def asker(root: Path, then: str) -> "subprocess.Popen[str]":
    """Start a process that has asked once, and then runs `then`."""
    command = [sys.executable, "-c", ASKER.format(then), str(root)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd="/", stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    assert process.stdout.readline() == "asked\n"
    return process


def test_a_child_ends_with_its_owner(root: Path) -> None:
    """When its owner is killed the child ends, though a different process that the owner started lives on."""
    process = asker(root, "print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)")
    assert process.stdout
    sleeper = int(process.stdout.readline())
    (child,) = children(process.pid)
    kill(process.pid)
    process.wait()
    wait_for(lambda: child not in processes_of(ASK_VOLUME.name))
    kill(sleeper)
    process.stdout.close()


def test_at_its_end_a_process_takes_its_child_along(root: Path) -> None:
    """When a process has ended, its child is gone too, and nothing is printed."""
    process = asker(root, "sys.stdin.read()")
    (child,) = children(process.pid)
    output, _ = process.communicate()
    assert (process.returncode, output) == (0, "")
    assert child not in processes_of(ASK_VOLUME.name)


@as_root
def test_who_becomes_another_user_does_not_ask_as_root(root: Path) -> None:
    """After a process became a different user, it is refused what only root can see."""
    root.chmod(0o700)
    process = asker(root, f"become({pwd.getpwuid(STRANGER_UID).pw_name!r})\nprove(root, 'ours')")
    output, _ = process.communicate()
    assert process.returncode == 1
    assert "Permission denied" in output


@pytest.mark.slow
def test_the_watcher_asks_at_each_tick_without_a_new_process(mirror: Mirror) -> None:
    """The watcher's children stay the same, and are few. `up` itself keeps none."""
    mirror.database.add("gate")
    with mirror.up(watched=True) as process:
        wait_until_recording(mirror, "gate")
        wait_for(lambda: children(watcher_pid(mirror)))
        time.sleep(12)  # longer than a tick
        before = children(watcher_pid(mirror))
        assert 1 <= len(before) <= 2
        time.sleep(12)
        assert children(watcher_pid(mirror)) == before
        assert children(process.pid) == []
