"""The Ansible role in its joined mode: in the supervisord of Debian's package, 4.2.5, beside other programs.

The tests build on each other: the first finds a host without heldar-mirror, the last leaves only the footage.
"""

import re
from collections.abc import Iterator

import pytest
from support.managed_host import NEXT, Managed, changes, managed_host
from support.packages import build, copy_tree, run
from support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OTHERS = """[program:other]
command=/bin/sleep infinity
[program:mirror-foreign]
command=/bin/sleep infinity
"""


@pytest.fixture(scope="module")
def joined() -> Iterator[Managed]:
    """A host whose supervisor package runs other programs. heldar-mirror is installed from a checkout."""
    with managed_host() as made:
        checkout = str(copy_tree(made.home / "checkout"))
        git = ["git", "-C", checkout, "-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
        for words in ("init -q", "add .", "commit -q -m Tests"):
            run(*git, *words.split())
        made.variables |= {"heldar_mirror_mode": "joined", "heldar_mirror_checkout": checkout}
        made.host.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "supervisor")
        made.host.write("/etc/supervisor/conf.d/others.conf", OTHERS)
        made.host.run("supervisorctl", "update")
        yield made


def others(managed: Managed) -> list[int]:
    """Return the processes of the other programs, and the supervisord that runs all."""
    return managed.pids("^/bin/sleep infinity|/usr/bin/supervisord")


def test_it_joins_debians_supervisor_twice(joined: Managed) -> None:
    """The recorders run as our user in root's supervisord. No other program is restarted."""
    before = others(joined)
    assert len(before) == 3
    assert joined.host.run("supervisorctl", "version").stdout == "4.2.5\n"
    joined.play()
    wait_for(joined.all_well)
    assert set(joined.segments().values()) == {"heldar-mirror"}
    running = joined.mirroring()
    output = joined.play()
    assert changes(output) == 0, output
    assert joined.mirroring() == running
    assert others(joined) == before


def test_an_upgrade_restarts_the_watcher_alone_where_it_joined(joined: Managed) -> None:
    """No recorder, no other program and not the supervisord restarts."""
    joined.variables |= {
        "heldar_mirror_checkout": "",
        "heldar_mirror_wheel": str(build(copy_tree(joined.home / "next", NEXT))[1]),
    }
    before, watcher = (joined.mirroring(), others(joined)), joined.pids("heldar-mirror watch")
    joined.play()
    wait_for(joined.all_well)
    assert (joined.mirroring(), others(joined)) == before
    assert joined.pids("heldar-mirror watch") != watcher


def test_the_mirror_is_back_where_it_joined(joined: Managed) -> None:
    """The mirror is back after a restart of the joined supervisord, and after a power cut."""
    joined.host.run("systemctl", "restart", "supervisor")
    wait_for(joined.all_well)
    joined.host.kill()
    joined.host.boot()
    wait_for(joined.all_well)


def test_removing_leaves_other_programs_alone(joined: Managed) -> None:
    """Our programs are removed from a supervisord that keeps running, and the footage stays.

    While it does not answer nothing is removed. Somebody has stopped the watcher before.
    """
    joined.host.run("supervisorctl", "stop", "heldar-mirror-watch")
    before, footage, left = others(joined), joined.segments(), joined.left()
    joined.host.run("mv", "/run/supervisor.sock", "/run/supervisor.away")
    joined.play(failed=True, heldar_mirror_state="absent")
    joined.host.run("mv", "/run/supervisor.away", "/run/supervisor.sock")
    assert joined.left() == left
    joined.play(heldar_mirror_state="absent")
    assert footage.keys() <= joined.segments().keys()
    assert joined.left() == []
    assert others(joined) == before
    assert len(joined.mirroring()) == 1  # supervisord
    assert re.findall(r"^\S+", joined.host.run("supervisorctl", "status").stdout, re.MULTILINE) == [
        *("mirror-foreign", "other"),
    ]
    assert changes(joined.play(heldar_mirror_state="absent")) == 0
