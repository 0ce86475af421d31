"""The Ansible role in its default mode: a supervisord of our own in a systemd unit, on a booted host.

The tests build on each other: the first finds a host without heldar-mirror, the last leaves only the footage.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lock_requirements import LOCK
from support.managed_host import ANSIBLE, CAMERAS, NEXT, ROOT, SECRET, Managed, changes, managed_host, pending
from support.packages import build, copy_tree, run
from support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


ROLE = ANSIBLE / "roles/heldar_mirror"
TEXTFILES = "/var/lib/prometheus/node-exporter"

# The user of node_exporter owns the directory of the metrics, and has put links where root might write.
TRAPS = f"""
chown prometheus: {TEXTFILES}
for name in heldar_mirror.prom .heldar_mirror.prom.new heldar_mirror.prom.new; do
    echo keep >"/root/$name.victim"
    runuser -u prometheus -- ln -s "/root/$name.victim" "{TEXTFILES}/$name"
done
"""

INDEX_PASSWORD = "made-up-password-of-an-index"

SCRAPE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())"


def older_lock(path: Path, index: Path) -> Path:
    """Write the role's requirements, with the supervisor and the setuptools of a directory of wheels."""
    kept = re.sub(r"^supervisor==.*\n(    .*\n)+", "", LOCK.read_text(), flags=re.MULTILINE)
    for wheel in index.iterdir():
        name, version = wheel.name.split("-")[:2]
        kept += f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    path.write_text(kept)
    return path


@pytest.fixture(scope="module")
def own() -> Iterator[Managed]:
    """A host with all options of the role, and at first with an older supervisor."""
    with managed_host() as made:
        index = made.home / "index"
        run(sys.executable, "-m", "pip", "download", "-q", "-d", str(index), "supervisor==4.2.5", "setuptools<81")
        made.host.put(index, "/root/index")
        made.host.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "prometheus-node-exporter")
        made.variables |= {
            "heldar_mirror_wheel": str(build(copy_tree(made.home / "this"))[1]),
            "heldar_mirror_secrets": {"HELDAR_SECRET_KEY": SECRET},
            "heldar_mirror_requirements": str(older_lock(made.home / "older.txt", index)),
            "heldar_mirror_textfile_dir": TEXTFILES,
            "heldar_mirror_alert_rules": "/etc/alerts.yml",
            "heldar_mirror_hidepid": True,
            "heldar_mirror_verify": True,
            "heldar_mirror_verify_budget": "10%",
            "heldar_mirror_verify_schedule": "Sun 04:00",
        }
        yield made


def test_check_mode_shows_changes_and_makes_none(own: Managed) -> None:
    """On a host without heldar-mirror a dry run succeeds, and shows what it would do but not the secret.

    The mirror root is there already, as a new volume is.
    """
    own.host.path(ROOT).mkdir()
    output = own.play("--check", "--diff")
    assert changes(output) > 10
    assert "+User=heldar-mirror" in output
    assert pending(output) == ""
    assert own.left() == []
    assert "heldar-mirror" not in own.host.path("/etc/passwd").read_text()
    own.host.path(ROOT).rmdir()


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


def test_wrong_variables_are_refused_before_any_change(own: Managed) -> None:
    """Each error names the wrong variable, and the host is unchanged."""
    cases: list[tuple[dict[str, Any], str]] = [
        ({"heldar_mirror_mount": "/mnt"}, "nothing is mounted at /mnt"),
        ({"heldar_mirror_mount": "/"}, "expected that as heldar_mirror_mount (nothing for /)"),
        ({"heldar_mirror_pip_args": ["--no-index"]}, "and heldar_mirror_pip_args: expected heldar_mirror_wheel"),
        ({"heldar_mirror_recordings_dir": f"{ROOT}/"}, "on a second volume, without a / at its end"),
        ({"heldar_mirror_checkout": "/srv/checkout"}, "Expected exactly one of heldar_mirror_wheel"),
        ({"heldar_mirror_groups": ["nobodys"]}, "this host has no group nobodys"),
        ({"heldar_mirror_recordings_dir": "/var/lib/heldar"}, "/var/lib/heldar belongs to heldar"),
        ({"heldar_mirror_recordings_dir": "/var/log"}, "/var/log is root's and not empty"),
        ({"heldar_mirror_recordings_dir": "/bin"}, "if /bin is a link, the place that it leads to"),
        ({"heldar_mirror_recordings_dir": "/var/lib/heldar/mirror"}, "/var/lib/heldar: other users than root"),
        ({"heldar_mirror_recordings_dir": "/var/lib/heldar/new/mirror"}, "/var/lib/heldar: other users than root"),
        ({"heldar_mirror_secrets": SECRET}, "heldar_mirror_pip_conf: expected names with values"),
        ({"heldar_mirror_settings": {"HELDAR_SECRET_KEY": "x"}}, "of the latter alone HELDAR_SECRET_KEY"),
        ({"heldar_mirror_recordings_dir": "/run/new/mirror"}, "mounted at /run: expected that as heldar_mirror_mount"),
        ({"heldar_mirror_mount": "/run"}, "/data/mirror is on the volume that is mounted at /: expected that"),
        ({"heldar_mirror_mode": "both"}, "value of heldar_mirror_mode must be one of: own, joined"),
        ({"heldar_mirror_textfile_dir": "/nowhere"}, "heldar_mirror_textfile_dir: /nowhere is no directory"),
        ({"heldar_mirror_verify_budget": "much"}, "as heldar_mirror_verify_budget a time such as 30m"),
        ({"heldar_mirror_verify_schedule": "often"}, "heldar_mirror_verify_schedule: Failed to parse"),
    ]
    for found, (_, message) in zip(own.refusals([variables for variables, _ in cases]), cases, strict=True):
        assert message in found
    assert own.left() == []


# What variables may name that is not the role's.
OTHERS = """
mkdir /srv/rules /srv/heldar-mirror-files; echo groups: >/srv/rules/others.yml
echo text >/srv/heldar-mirror-files/text
ln -s others.yml /srv/rules/link.yml; mkfifo /srv/rules/fifo
python3 -m venv --without-pip /srv/shared
install -d -o heldar /srv/heldars; install -d -m 777 /srv/open; install -d -o heldar /srv/heldar-mirror-theirs
touch /srv/heldar-mirror-theirs/pyvenv.cfg
install -d /srv/heldars/roots; ln -s heldars/roots /srv/linked
"""


def test_what_is_not_the_roles_is_neither_used_nor_removed(own: Managed) -> None:
    """A variable that names other people's files is refused in both states, and nothing of theirs changes."""
    own.host.shell(OTHERS)
    before = own.host.shell("find /srv -ls")
    cases = [
        ("heldar_mirror_alert_rules", "/srv/rules", "was not written by this role"),
        ("heldar_mirror_alert_rules", "/srv/rules/others.yml", "was not written by this role"),
        ("heldar_mirror_alert_rules", "/srv/rules/link.yml", "was not written by this role"),
        ("heldar_mirror_alert_rules", "/srv/rules/fifo", "was not written by this role"),
        ("heldar_mirror_alert_rules", "/srv/heldars/rules.yml", "/srv/heldars: other users than root may write there"),
        ("heldar_mirror_alert_rules", "/srv/linked/rules.yml", "/srv/heldars: other users than root may write there"),
        ("heldar_mirror_venv", "/srv/heldars/roots/heldar-mirror", "/srv/heldars: other users than root may write"),
        ("heldar_mirror_venv", "/srv/shared", "last part begins with heldar-mirror"),
        ("heldar_mirror_venv", "/srv/heldar-mirror-files", "no virtual environment"),
        ("heldar_mirror_venv", "/srv/heldar-mirror-theirs", "other users than root may write there"),
        ("heldar_mirror_venv", "/srv/open/heldar-mirror", "/srv/open: other users than root may write there"),
    ]
    for state in ("present", "absent"):
        refusals = own.refusals([{"heldar_mirror_state": state, name: value} for name, value, _ in cases])
        for found, (_, _, message) in zip(refusals, cases, strict=True):
            assert message in found
    assert own.host.shell("find /srv -ls") == before
    own.host.shell("rm -r /srv/*")
    assert own.left() == []


def test_only_a_marker_that_the_state_knows_is_removed(tmp_path: Path) -> None:
    """The marker of another instance stays, and so does whatever else has that name. None of it is waited for."""
    script = yaml.safe_load((ROLE / "vars/main.yml").read_text())["heldar_mirror_remove_marker"]
    marker, volumes, linked = (tmp_path / name for name in (".heldar-mirror", "volumes", "linked"))
    volumes.write_text("earlier /mnt/earlier\nours /mnt/mirror\n")
    linked.write_text("ours\n")

    def removed(make: Callable[[], object]) -> bool:
        make()
        output = run("timeout", "60", "sh", "-euc", script, "sh", str(marker), str(volumes))
        assert output == ("" if os.path.lexists(marker) else "removed\n")
        return bool(output)

    for text in ("theirs\n", "our\n", "ours \\.\n", ".*\n", "\n", ""):
        assert not removed(lambda: marker.write_text(text))  # noqa: B023
    marker.unlink()
    assert not removed(lambda: marker.symlink_to(linked))
    marker.unlink()
    assert not removed(lambda: os.mkfifo(marker))
    marker.unlink()
    assert not removed(marker.mkdir)
    marker.rmdir()
    assert removed(lambda: marker.write_text("ours\n"))
    assert linked.read_text() == "ours\n"


WRITINGS = """\
HELDAR_SECRET_KEY=x
HELDAR_SECRET_KEY = x
export HELDAR_SECRET_KEY="x"
#HELDAR_SECRET_KEY='x'
heldar_secret_key=x
HELDAR_MIRROR_SUPERVISOR_PASSWORD: x
A=rtsp://admin:x@camera/1
HELDAR_SEC\\
passphrase x
x\xff
S\0E\0C\0R
"""


def test_no_diff_shows_a_secret_that_somebody_wrote(own: Managed) -> None:
    """A diff of the env file is shown, but not if a line of it could hold a secret."""
    pattern = yaml.safe_load((ROLE / "vars/main.yml").read_text())["heldar_mirror_secret_like"]
    for text, code in [*((line, 0) for line in WRITINGS.splitlines()), ("# A comment.\nHELDAR_MIRROR_UMASK=027", 1)]:
        command = ["grep", "-Eaiqs", pattern]
        done = subprocess.run(command, input=text.encode("latin-1"), env={"LC_ALL": "C", **os.environ}, check=False)
        assert done.returncode == code, text
    env = own.host.path("/etc/heldar/mirror.env")
    for line, shown in (("HELDAR_MIRROR_UMASK=027", True), (f"HELDAR_SECRET_KEY = {SECRET}", False)):
        env.write_text(f"{line}\n")
        output = own.play("--check", "--diff", heldar_mirror_secrets={})
        assert (f"-{line}" in output, "+HELDAR_MIRROR_USER=" in output) == (shown, shown)
    env.unlink()


def test_a_package_with_another_hash_is_not_installed(own: Managed) -> None:
    """pip's message is shown. The password of an index is not, neither there nor in a process's arguments."""
    wrong = own.home / "wrong.txt"
    wrong.write_text(re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", LOCK.read_text()))
    index = {"index-url": f"http://mirror:{INDEX_PASSWORD}@127.0.0.1:1/simple", "retries": 0}
    for variables, message in (
        ({"heldar_mirror_requirements": str(wrong)}, "THESE PACKAGES DO NOT MATCH THE HASHES"),
        ({"heldar_mirror_pip_conf": index}, "expected an index (heldar_mirror_pip_conf)"),
    ):
        output = own.play("-vvv", "--diff", failed=True, **variables)
        assert message in output
        assert INDEX_PASSWORD not in output
    assert own.host.path("/opt/heldar-mirror/pip.conf").stat().st_mode & 0o777 == 0o600
    assert not list(own.host.path("/opt/heldar-mirror/lib").glob("python3*/site-packages/watchdog"))
    output = own.play(failed=True, heldar_mirror_pip_conf=f"http://mirror:{INDEX_PASSWORD}@127.0.0.1:1/simple")
    assert "heldar_mirror_pip_conf" in output
    assert INDEX_PASSWORD not in output


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
    (refused,) = own.refusals([{"heldar_mirror_user": "nobody"}])
    assert "heldar-mirror.service runs as heldar-mirror. To go on as nobody: systemctl stop" in refused
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


def test_the_mirror_is_proven_by_a_timer_until_it_is_switched_off(own: Managed) -> None:
    """With the schedule and the budget of the role. Here the primary has no recordings, which is no proof."""
    assert "Sun 04:00" in own.host.run("systemctl", "cat", "heldar-mirror-verify.timer").stdout
    assert own.host.run("systemctl", "is-active", "heldar-mirror-verify.timer").stdout == "active\n"
    own.host.run("systemctl", "start", "heldar-mirror-verify", code=1)
    command = own.host.run("systemctl", "show", "--property=ExecStart,ExecMainStatus", "heldar-mirror-verify").stdout
    assert "verify --budget 10% ;" in command
    assert "ExecMainStatus=8" in command
    assert "cannot read the primary's recordings" in own.host.journal("heldar-mirror-verify")
    off = own.play(heldar_mirror_verify=False)
    assert changes(off) > 0
    assert own.host.shell("ls -d /etc/systemd/system/*verify* 2>/dev/null || true") == ""
    assert changes(own.play(heldar_mirror_verify=False)) == 0
    own.play()


def test_an_upgrade_restarts_the_watcher_alone(own: Managed) -> None:
    """No recorder restarts. The output says that a new supervisor waits for a restart, which is left to people."""
    own.variables["heldar_mirror_wheel"] = str(build(copy_tree(own.home / "next", NEXT))[1])
    del own.variables["heldar_mirror_requirements"]
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
    assert not own.host.path(f"{ROOT}/.heldar-mirror").exists()
    assert changes(own.play(heldar_mirror_state="absent")) == 0
    own.play()
    wait_for(own.all_well)
    assert footage.keys() <= own.segments().keys()
