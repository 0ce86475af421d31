"""The Ansible role in its default mode: a supervisord of our own in a systemd unit, on a booted host.

The tests build on each other: the first finds a host without heldar-mirror, the last leaves only the footage.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support.managed_host import CAMERAS, NEXT, SECRET, Managed, changes, managed_host, pending
from support.packages import build, copy_tree, run
from support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


TEXTFILES = "/var/lib/prometheus/node-exporter"

# The user of node_exporter owns the directory of the metrics, and has put links where root might write.
TRAPS = f"""
chown prometheus: {TEXTFILES}
for name in heldar_mirror.prom .heldar_mirror.prom.new heldar_mirror.prom.new; do
    echo keep >"/root/$name.victim"
    runuser -u prometheus -- ln -s "/root/$name.victim" "{TEXTFILES}/$name"
done
"""

SCRAPE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())"


@pytest.fixture(scope="module")
def own() -> Iterator[Managed]:
    """A host with all options of the role, and at first with an older supervisor."""
    with managed_host() as made:
        index = made.home / "index"
        run(sys.executable, "-m", "pip", "download", "-q", "-d", str(index), "supervisor==4.2.5", "setuptools<81")
        build(copy_tree(made.home / "next", NEXT))[1].rename(index / f"heldar_mirror-{NEXT}-py3-none-any.whl")
        made.host.put(index, "/root/index")
        made.host.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "prometheus-node-exporter")
        made.variables |= {
            "heldar_mirror_wheel": str(build(copy_tree(made.home / "this"))[1]),
            "heldar_mirror_secrets": {"HELDAR_SECRET_KEY": SECRET},
            "heldar_mirror_constraints": ["supervisor==4.2.5", "setuptools<81"],
            "heldar_mirror_textfile_dir": TEXTFILES,
            "heldar_mirror_alert_rules": "/etc/alerts.yml",
            "heldar_mirror_hidepid": True,
        }
        yield made


def test_check_mode_shows_changes_and_makes_none(own: Managed) -> None:
    """On a host without heldar-mirror a dry run succeeds, and shows what it would do but not the secret."""
    output = own.play("--check", "--diff")
    assert changes(output) > 10
    assert "+User=heldar-mirror" in output
    assert pending(output) == ""
    assert own.left() == []
    assert "heldar-mirror" not in own.host.path("/etc/passwd").read_text()


@pytest.mark.parametrize("place", ["file", "process"])
def test_a_heldar_that_mirrors_itself_is_refused(own: Managed, place: str) -> None:
    """The role refuses if Heldar's env file or its running process has the mirror root. It says what to move."""
    if place == "file":
        own.host.write("/etc/heldar/heldar.env", "A=1\nHELDAR_MIRROR_RECORDINGS_DIR='/mnt/copy'\n")
        message = "Remove that line, set heldar_mirror_recordings_dir to its value, and restart heldar.service"
    else:
        own.host.write("/etc/heldar/heldar.env", "#HELDAR_MIRROR_RECORDINGS_DIR=/mnt/copy\n")
        own.host.shell("systemd-run -q -u heldar -E HELDAR_MIRROR_RECORDINGS_DIR=/mnt/copy sleep infinity")
        message = "heldar.service runs with HELDAR_MIRROR_RECORDINGS_DIR=/mnt/copy, so Heldar's kernel mirrors too"
    try:
        assert message in " ".join(own.play(failed=True).split())
    finally:
        own.host.shell("rm /etc/heldar/heldar.env; systemctl stop heldar || true")
    assert own.left() == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"heldar_mirror_mount": "/mnt"}, "nothing is mounted at /mnt"),
        ({"heldar_mirror_version": NEXT}, "Expected exactly one of heldar_mirror_version"),
        ({"heldar_mirror_groups": ["nobodys"]}, "this host has no group nobodys"),
        ({"heldar_mirror_recordings_dir": "/var/lib/heldar"}, "/var/lib/heldar belongs to heldar"),
        ({"heldar_mirror_settings": {"HELDAR_SECRET_KEY": "x"}}, "of the latter alone HELDAR_SECRET_KEY"),
        ({"heldar_mirror_mode": "both"}, "value of heldar_mirror_mode must be one of: own, joined"),
    ],
    ids=["mount", "package", "group", "owner", "secret", "mode"],
)
def test_wrong_variables_are_refused_before_any_change(own: Managed, variables: dict[str, Any], message: str) -> None:
    """The error names the wrong variable, and the host is unchanged."""
    assert message in " ".join(own.play(failed=True, **variables).split())
    assert own.left() == []


def test_it_is_applied_twice(own: Managed) -> None:
    """The cameras are mirrored by the role's own user. The second time nothing changes."""
    own.host.shell(TRAPS)
    assert changes(own.play("--diff")) > 10
    wait_for(own.all_well)
    assert set(own.segments().values()) == {"heldar-mirror"}
    assert own.host.path("/etc/heldar/mirror.env").stat().st_mode & 0o777 == 0o640
    before = own.mirroring()
    output = own.play("--diff")
    assert changes(output) == 0, output
    assert pending(output) == ""
    assert own.mirroring() == before


def test_the_options_take_effect(own: Managed) -> None:
    """node_exporter shows metrics of each camera, alert rules are about these metrics, and /proc hides processes."""

    def scrape() -> str:
        return own.host.run("python3", "-c", SCRAPE).stdout

    own.execute("INSERT INTO cameras (id, name, vendor, segment_seconds, mirror_enabled) VALUES ('tür', '', '', 5, 0)")
    try:
        for camera, value in (("gate", 1), ("tür", 0)):
            wait_for(lambda: f'heldar_mirror_wanted{{camera="{camera}"}} {value}\n' in scrape())  # noqa: B023
    finally:
        own.execute("DELETE FROM cameras WHERE id = 'tür'")
    metrics = scrape()
    assert 'heldar_mirror_well{camera="gate"} 1\n' in metrics
    assert "node_textfile_scrape_error 0\n" in metrics
    assert re.search(r'^heldar_mirror_info\{version="[^"]+"\} 1$', metrics, re.MULTILINE)
    (group,) = yaml.safe_load(own.host.path("/etc/alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        (name,) = re.findall(r"heldar_mirror_\w+", rule["expr"])
        assert f"# TYPE {name} gauge\n" in metrics
    assert own.host.run("runuser", "-u", "nobody", "--", "pgrep", "-f", "ffmpeg", code=1).stdout == ""


def test_metrics_are_written_by_a_user_of_their_own(own: Managed) -> None:
    """Nothing was written through a link, and the file belongs neither to node_exporter's user nor to the mirror's."""
    assert (
        own.host.shell(f"rm {TEXTFILES}/*.new {TEXTFILES}/.*.new; cat /root/*.victim /root/.*.victim") == "keep\n" * 3
    )
    assert (
        own.host.shell(f"readlink {TEXTFILES}/heldar_mirror.prom") == "/run/heldar-mirror-textfile/heldar_mirror.prom\n"
    )
    made = own.host.shell("stat -c '%U %a' /run/heldar-mirror-textfile /run/heldar-mirror-textfile/*")
    assert made == "heldar-mirror-metrics 755\nheldar-mirror-metrics 644\n"
    found = own.host.run("systemd-analyze", "security", "heldar-mirror-textfile").stdout
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", found)
    assert exposure, found
    assert float(exposure[1]) < 2.0


def test_an_upgrade_restarts_the_watcher_alone(own: Managed) -> None:
    """No recorder restarts. The output says that a new supervisor waits for a restart, which is left to people."""
    own.variables |= {
        "heldar_mirror_wheel": "",
        "heldar_mirror_version": NEXT,
        "heldar_mirror_constraints": ["supervisor==4.3.0"],
    }
    before, watcher = own.mirroring(), own.pids("heldar_mirror watch")
    assert len(before) == 2 * len(CAMERAS) + 2
    output = own.play()
    assert pending(output).startswith("restart pending: supervisor 4.2.5 runs, 4.3.0 is installed. All mirrors go on")
    assert NEXT in own.host.run("heldar-mirror", "--version").stdout
    wait_for(own.all_well)
    assert own.mirroring() == before
    assert own.pids("heldar_mirror watch") != watcher
    # The watcher of the next version follows the table, in the supervisord that ran before.
    own.execute("UPDATE cameras SET segment_seconds = 6 WHERE id = 'gate'")
    wait_for(lambda: len(set(own.mirroring()) - set(before)) == 2)
    spawned = re.findall(
        r"spawned: 'mirror-(\w+)'", own.host.path("/var/log/heldar-mirror/supervisord.log").read_text()
    )
    assert sorted(spawned) == ["gate", *CAMERAS]


def test_the_mirror_is_back_after_stop_and_start_and_after_a_power_cut(own: Managed) -> None:
    """After stop and start nothing waits for a restart any more, and the role has nothing to do."""
    own.host.run("systemctl", "stop", "heldar-mirror")
    assert own.mirroring() == []
    own.host.run("systemctl", "start", "heldar-mirror")
    wait_for(own.all_well)
    own.host.kill()
    own.host.boot()
    wait_for(own.all_well)
    output = own.play()
    assert (changes(output), pending(output)) == (0, "")


def test_removing_keeps_the_footage(own: Managed) -> None:
    """All else is gone, and a second removal changes nothing. Installed again, it records beside the old files."""
    own.host.run("systemctl", "stop", "heldar-mirror")
    footage = own.segments()
    own.host.run("systemctl", "start", "heldar-mirror")
    own.play(heldar_mirror_state="absent")
    assert footage.keys() <= own.segments().keys()
    assert own.left() == []
    assert own.mirroring() == []
    assert changes(own.play(heldar_mirror_state="absent")) == 0
    own.play()
    wait_for(own.all_well)
    assert footage.keys() <= own.segments().keys()
