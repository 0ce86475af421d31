"""`heldar-mirror coverage` on real recordings and tables: what it finds, and what it says of what it can't read."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.hostile import HOSTILE, is_harmless
from support.made_footage import adopt, snapshot
from support.mirror import Mirror
from support.mounts import bindfs_volume, hung, mounted, waits_for_fuse
from support.two_sides import SEGMENT_SECONDS, index, primary_root, record, record_both
from support.users import STRANGER_UID, MirrorForAll, as_root, new_mirror
from support.waiting import COMMAND_SECONDS, processes_of, wait_for

HOUR = 3600

# A whole minute, long enough ago for Heldar to have indexed all, and no file to be open.
NOW = int(time.time()) // 60 * 60
BEGUN = NOW - 3 * HOUR
WHOLE = [BEGUN + number * SEGMENT_SECONDS for number in range(60)]
END = WHOLE[-1] + SEGMENT_SECONDS

Gap = tuple[str, int, int]


def utc(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


SPAN = ("--since", utc(BEGUN), "--until", utc(END))


@pytest.fixture
def sides(mirror: Mirror) -> Mirror:
    """A mirror with two cameras, of which both sides have ten minutes."""
    return set_up(mirror)


def set_up(mirror: Mirror) -> Mirror:
    adopt(mirror)
    for camera_id in ("gate", "yard"):
        mirror.database.add(camera_id, segment_seconds=SEGMENT_SECONDS)
        record_both(mirror, camera_id, WHOLE)
    return mirror


def remove(directory: Path, *numbers: int) -> None:
    for number in numbers:
        sorted(directory.iterdir(), key=lambda path: (path.suffix != ".mp4", path.name))[number].unlink()


def coverage(mirror: Mirror, *args: str, code: int = 0, **env: str) -> dict[str, Any]:
    """Return what `coverage --json` prints of the ten minutes."""
    found: dict[str, Any] = json.loads(mirror.run("coverage", "--json", *SPAN, *args, code=code, **env).stdout)
    return found


def gaps(report: dict[str, Any], camera_id: str = "gate") -> list[Gap]:
    """Return a camera's gaps: the state, and the first and last second since the beginning."""
    (camera,) = (camera for camera in report["cameras"] if camera["camera_id"] == camera_id)
    return [
        (each["state"], round(each["begin"] - BEGUN), round(each["end"] - BEGUN))
        for each in camera["stretches"]
        if each["is_gap"]
    ]


def totals(report: dict[str, Any], number: int = 0) -> dict[str, float]:
    found: dict[str, float] = report["cameras"][number]["totals"]
    return found


def test_whole_footage(sides: Mirror) -> None:
    """All is well if both sides have everything, and nothing is written anywhere."""
    tops = sides.root, primary_root(sides), sides.state, sides.database.path.parent
    before = snapshot(*tops)
    report = coverage(sides)
    assert report["well"]
    assert [camera["camera_id"] for camera in report["cameras"]] == ["gate", "yard"]
    assert totals(report) == totals(report, 1) == {"both": 600}
    assert report["problems"] == report["cameras"][0]["problems"] == report["cameras"][0]["findings"] == []
    assert "no gap in 2 cameras" in sides.run("coverage", *SPAN).stdout
    assert snapshot(*tops) == before


def test_gaps_on_either_side_and_on_both(sides: Mirror) -> None:
    """Each is found where it is, and what Heldar's index has and the disk has not is a finding of its own."""
    for directory, numbers in ((primary_root(sides), (30, 10)), (sides.root, (30, 20))):
        for number in numbers:
            remove(directory / "gate", number)
    report = coverage(sides, code=1)
    assert gaps(report) == [("only mirror", 100, 110), ("only primary", 200, 210), ("neither", 300, 310)]
    assert gaps(report, "yard") == []
    assert totals(report) == {"both": 570, "only mirror": 10, "only primary": 10, "neither": 10}
    (finding,) = report["cameras"][0]["findings"]
    assert (finding["kind"], finding["count"]) == ("indexed, and not on the disk", 2)
    assert finding["spans"] == [[BEGUN + 100, BEGUN + 110], [BEGUN + 300, BEGUN + 310]]
    assert coverage(sides, "yard")["well"]


def test_what_a_person_sees(sides: Mirror) -> None:
    """A bar, the gaps with local times, and the findings."""
    remove(primary_root(sides) / "gate", 10, 10)
    lines = sides.run("coverage", *SPAN, code=1, TZ="Asia/Kathmandu").stdout.splitlines()
    since, gap = BEGUN + 20_700, BEGUN + 20_700 + 100  # UTC+05:45
    assert lines[0].startswith(time.strftime("%Y-%m-%d %H:%M:%S+05:45 to ", time.gmtime(since)))
    assert lines[2].startswith("gate    ███")
    assert lines[2].count("▄") in range(4, 9)
    assert lines[2].endswith("   96.6%    100%")
    assert lines[3].endswith("    100%    100%")
    stamp = time.strftime("%Y-%m-%d %H:%M:%S+05:45", time.gmtime(gap))
    assert f"gate    mirror   20s  {stamp}  {time.strftime('%H:%M:%S', time.gmtime(gap + 20))}" in lines
    assert "1 gap in 1 of 2 cameras: only mirror 20s" in lines
    assert f"gate: indexed, and not on the disk: 2 segments, {stamp} to " in "\n".join(lines)
    shown = sides.run("coverage", "--utc", *SPAN, code=1, TZ="Asia/Kathmandu").stdout
    assert time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(BEGUN + 100)) in shown
    assert "\x1b" not in shown


def test_a_minimum_length(sides: Mirror) -> None:
    """Shorter holes count as footage, and are summed up."""
    remove(primary_root(sides) / "gate", 10)
    index_free = coverage(sides, "--min-gap", "30s", code=1)
    assert gaps(index_free) == []
    assert index_free["min_gap"] == 30
    assert index_free["cameras"][0]["hidden"] == {"primary": 10, "mirror": 0}


def test_what_has_expired_is_no_gap(sides: Mirror) -> None:
    """Nor is what the primary has not recorded by its schedule."""
    sides.database.update("gate", retention_hours=1)
    sides.database.update("yard", record_mode="event")
    for path in [*primary_root(sides).rglob("*.mp4"), *(sides.root / "gate").glob("*.mp4")]:
        path.unlink()
    sides.database.execute("DELETE FROM segments")
    report = coverage(sides, "--min-gap", "60s", code=0)
    assert totals(report)["neither"] >= 540
    assert report["cameras"][0]["explained"]["neither"].keys() == {"expired"}
    assert report["cameras"][1]["explained"] == {"only mirror": {"not wanted": 600}}


def test_a_camera_that_was_just_added_has_no_gap_before(sides: Mirror) -> None:
    """Nor until its recordings have begun. With footage from before, it was added once more, and nothing is known."""
    sides.database.add("new", segment_seconds=SEGMENT_SECONDS, created_at=utc(BEGUN + 200))
    index(sides, record(primary_root(sides) / "new", WHOLE[23:]))
    record(sides.root / "new", WHOLE[21:])
    report = coverage(sides, "new")
    assert report["cameras"][0]["explained"] == {
        "neither": {"not yet added": 210},
        "only mirror": {"not yet added": 20},
    }
    assert "neither, not yet added: 3m30s" in sides.run("coverage", "new", *SPAN).stdout
    record(sides.root / "new", WHOLE[:1])
    found = gaps(coverage(sides, "new", code=1), "new")
    assert found == [("only mirror", 0, 10), ("neither", 10, 210), ("only mirror", 210, 230)]


def test_a_camera_that_is_not_mirrored_or_was_deleted(sides: Mirror) -> None:
    """It is looked at if it is named, as long as there is a row or a directory of it."""
    sides.database.update("yard", mirror_enabled=0)
    sides.database.execute("DELETE FROM cameras WHERE id = 'gate'")
    assert [camera["camera_id"] for camera in coverage(sides)["cameras"]] == []
    assert "there is no camera to look at" in sides.run("coverage", *SPAN).stdout
    assert totals(coverage(sides, "gate")) == {"both": 600}
    (sides.root / "gate").rename(sides.home / "elsewhere")
    (sides.root / "gate").symlink_to(sides.home / "elsewhere")
    (problem,) = coverage(sides, "gate", code=8)["cameras"][0]["problems"]
    assert problem.endswith("/gate: it is no directory, or a link, which is not followed")
    shutil.rmtree(sides.root / "yard")
    assert gaps(coverage(sides, "yard", code=1), "yard") == [("only primary", 0, 600)]


def test_what_is_recorded_now(sides: Mirror) -> None:
    """What ffmpeg has not written yet is no gap."""
    now = int(time.time()) // 10 * 10
    for camera_id in ("gate", "yard"):
        record_both(sides, camera_id, range(now - 600, now - 20, SEGMENT_SECONDS))
    report = json.loads(sides.run("coverage", "--json", "--since", "8m").stdout)
    assert report["well"]
    assert report["until"] > now


def test_a_hole_before_what_is_recorded_now(sides: Mirror) -> None:
    """A hole before the newest segment is one, also if the span ends in it."""
    now = int(time.time()) // 10 * 10
    times = [*range(now - 600, now - 60, SEGMENT_SECONDS), *range(now - 20, now, SEGMENT_SECONDS)]
    for camera_id in ("gate", "yard"):
        record_both(sides, camera_id, times)
    report = json.loads(
        sides.run("coverage", "gate", "--json", "--since", "8m", "--until", utc(now - 30), code=1).stdout
    )
    assert totals(report)["neither"] == 30


@as_root
@pytest.mark.slow
@pytest.mark.parametrize(("side", "place"), [("primary", "recordings"), ("mirror", "mirror")])
def test_a_side_that_hangs(mirror: Mirror, side: str, place: str) -> None:
    """The other one is still answered for, with its holes."""
    with bindfs_volume(mirror, place) as server:
        set_up(mirror)
        remove((mirror.root if side == "primary" else primary_root(mirror)) / "gate", 5)
        with hung(server):
            # A file that the index has, and the disk has not, is known for sure.
            report = coverage(mirror, code=8 if side == "primary" else 1)
        assert report["problems"] == [
            f"the {side}'s volume at {mirror.home / place} does not answer within 20 s: is it hung?"
        ]
        other = "mirror" if side == "primary" else "primary"
        assert totals(report) == {f"at least {other}": 590, "unknown": 10}
        assert totals(report, 1) == {f"at least {other}": 600}
        assert gaps(coverage(mirror, code=1)) == [(f"only {side}", 50, 60)]


@as_root
def test_ctrl_c(mirror: Mirror) -> None:
    """It ends the command at once, without a word, also while a side hangs."""
    with bindfs_volume(mirror, "recordings") as server:
        set_up(mirror)
        reader = f"heldar_mirror.sides.reader {primary_root(mirror)}"
        with (
            hung(server),
            subprocess.Popen(
                # Who runs the tests in the background may have them ignore SIGINT.
                ["env", "--default-signal=INT", *mirror.command("coverage")],
                env=mirror.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            wait_for(lambda: any(map(waits_for_fuse, processes_of(reader))))
            process.send_signal(signal.SIGINT)
            assert process.communicate()[0] == b""
            assert process.returncode == 130
        wait_for(lambda: not processes_of(reader))


@as_root
def test_a_mirror_that_is_not_mounted(sides: Mirror) -> None:
    """An empty mount point is not taken for a mirror that has nothing."""
    sides.root.rename(sides.home / "volume")
    sides.root.mkdir()
    report = coverage(sides, code=8)
    assert "has lost its marker .heldar-mirror: is the volume mounted?" in report["problems"][0]
    assert totals(report) == {"at least primary": 600}
    with mounted(sides.root, "--bind", sides.home / "volume"):
        assert coverage(sides)["well"]


def test_a_primary_that_is_not_mounted(sides: Mirror) -> None:
    """All is missing, and it is said why that may be."""
    shutil.rmtree(primary_root(sides))
    report = coverage(sides, code=8)
    assert report["problems"] == [
        f"cannot read the primary's recordings in {primary_root(sides)}: No such file or directory"
    ]
    assert totals(report) == {"at least mirror": 600}
    primary_root(sides).mkdir()
    report = coverage(sides, code=1)
    assert totals(report) == {"only mirror": 600}
    assert f"{primary_root(sides)} has no file of this time, though Heldar's index has 120" in report["problems"][0]


def test_a_database_that_cannot_be_read(sides: Mirror) -> None:
    """Both sides are still answered for, of all cameras that have a directory."""
    remove(primary_root(sides) / "gate", 10)
    sides.database.path.write_bytes(b"no database" * 100)
    report = coverage(sides, code=1)
    assert "cannot read the cameras in" in report["problems"][0]
    assert len(report["problems"]) == 1
    assert gaps(report) == [("only mirror", 100, 110)]
    assert coverage(sides, "yard", code=8)["cameras"][0]["totals"] == {"both": 600}


@as_root
@pytest.mark.slow
def test_a_database_that_hangs(sides: Mirror) -> None:
    """It is waited for once, not for each camera."""
    with bindfs_volume(sides, "bound") as server:
        shutil.copytree(sides.database.path.parent, sides.home / "bound", dirs_exist_ok=True)
        with hung(server):
            url = f"sqlite://{sides.home}/bound/{sides.database.path.name}"
            report = coverage(sides, code=8, HELDAR_DATABASE_URL=url)
    assert len(report["problems"]) == 1
    assert "does not answer within 20 s: does its disk hang?" in report["problems"][0]
    assert report["totals"] == {"both": 1200}


def test_an_unusable_row_and_files_that_are_no_recordings(sides: Mirror) -> None:
    """They are reported, and cost only their own."""
    sides.database.update("gate", retention_hours="many")
    directory = sides.root / "gate"
    files = sorted(directory.glob("*.mp4"))
    files[5].write_bytes(b"nothing of an mp4" * 1000)
    os.utime(files[5], (BEGUN, BEGUN))
    files[20].unlink()
    os.mkfifo(files[20])
    files[30].unlink()
    files[30].symlink_to(files[31])
    report = coverage(sides, code=1)
    assert gaps(report) == [("only primary", 50, 60), ("only primary", 200, 210), ("only primary", 300, 310)]
    assert "camera gate: retention_hours is 'many'" in report["problems"][0]
    assert f"damaged: 1 of the mirror's files, such as {files[5].name}: " in report["cameras"][0]["notes"][0]


def test_rows_of_other_cameras_do_not_matter(sides: Mirror) -> None:
    """Only what is wrong with a row of a camera that was asked for, or may be mirrored, is reported."""
    sides.database.add("odd", retention_hours="many", mirror_enabled=0)
    sides.database.add("../x", mirror_enabled=0)
    schedule(sides, "gate", "25:00")
    assert coverage(sides)["well"]
    sides.database.add("../y")
    sides.database.add("unclear", mirror_enabled=7)
    assert [problem.split(":")[0] for problem in coverage(sides, code=8)["problems"]] == [
        "camera ../y",
        "camera unclear",
    ]
    assert coverage(sides, "yard", "gate")["well"]
    assert "camera odd: retention_hours is 'many'" in coverage(sides, "odd", code=1)["problems"][0]


def schedule(mirror: Mirror, camera_id: str, begin: str) -> None:
    """Let the primary record a camera for an hour of each day."""
    mirror.database.execute(
        "INSERT INTO camera_schedules (id, camera_id, time_start, time_end) VALUES (?, ?, ?, '01:00')",
        *(f"{camera_id} {begin}", camera_id, begin),
    )


@pytest.mark.parametrize("trouble", ["row", "table", "zone"])
def test_schedules_that_are_not_known_explain_nothing(sides: Mirror, trouble: str) -> None:
    """What is missing may have been wanted. It is said once."""
    for camera_id in ("gate", "yard"):
        sides.database.update(camera_id, record_mode="scheduled")
        shutil.rmtree(primary_root(sides) / camera_id)
    sides.database.execute("DELETE FROM segments")
    if trouble == "row":
        schedule(sides, "gate", "25:00")
        schedule(sides, "yard", "99:99")
    elif trouble == "table":
        sides.database.execute("ALTER TABLE camera_schedules RENAME COLUMN days TO weeks")
    else:
        sides.database.execute("INSERT INTO settings (key, value) VALUES ('default_timezone', 'Nowhere/Land')")
    report = coverage(sides, code=1)
    assert gaps(report) == gaps(report, "yard") == [("only mirror", 0, 600)]
    assert len(report["problems"]) == (2 if trouble == "row" else 1)


@as_root
def test_a_user_who_may_not_read_the_primary() -> None:
    """What can't be read is not taken for missing, and it is said who must be able to read it."""
    with new_mirror(MirrorForAll) as mirror:
        set_up(mirror)
        for path in [mirror.home, *mirror.home.rglob("*")]:
            os.chown(path, STRANGER_UID, STRANGER_UID)
        primary_root(mirror).chmod(0o750)
        os.chown(primary_root(mirror), 0, 0)
        report = json.loads(mirror.run_as(STRANGER_UID, "coverage", "--json", *SPAN, code=8).stdout)
        assert totals(report) == {"at least mirror": 600}
        (problem,) = report["problems"]
        assert problem.startswith(
            f"cannot read the primary's recordings in {primary_root(mirror)}: Permission denied. "
        )
        assert "Put the user nobody into Heldar's group" in problem
        os.chown(mirror.state, 0, 0)
        report = json.loads(mirror.run_as(STRANGER_UID, "coverage", "--json", *SPAN, code=8).stdout)
        assert totals(report) == {"unknown": 600}
        assert f"cannot use the state in {mirror.state}: " in report["problems"][1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("gat",), "'gat' is no camera in Heldar's table, and has no directory on either side: expected gate"),
        ((HOSTILE,), "is no camera in Heldar's table"),
        (("../x",), "expected one of the 2 cameras, such as gate"),
        (("--since", "soon"), "'soon' is no time: expected a time such as 2026-11-28"),
        (("--since", "1h", "--until", "2h"), "is not before --until"),
        (("--since", "2099-01-01"), "is in the future: expected a time before now"),
        (("--min-gap", "-1"), "'-1' is no length of time: expected one such as 5s, 1m30s, 2h or 1d"),
        (("--min-gap", "1x"), "'1x' is no length of time"),
        (("--sinc", "1h"), "No such option"),
    ],
)
def test_wrong_usage(sides: Mirror, args: tuple[str, ...], message: str) -> None:
    """It ends with exit code 2, and says what was expected."""
    result = sides.run("coverage", *(arg.replace("\0", "") for arg in args), code=2)
    assert message in result.stderr
    assert is_harmless(result.stderr, breaks="\n")
    assert not result.stdout


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_output(sides: Mirror, closed: int) -> None:
    """The exit code is that of what was found all the same."""
    command = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *sides.command("coverage", *SPAN)]
    result = subprocess.run(
        command, env=sides.env, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert ("no gap in 2 cameras" in result.stdout) == (closed == 2)


def test_mirroring_is_off(mirror: Mirror) -> None:
    """It is said, as by every command."""
    del mirror.env["HELDAR_MIRROR_RECORDINGS_DIR"]
    assert mirror.run("coverage").stdout.startswith("mirroring is off")


@pytest.mark.parametrize("name", ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_days_of_other_lengths(mirror: Mirror, name: str) -> None:
    """The last day on which the clock was put back has as many hours as the calendar says."""
    adopt(mirror)
    mirror.database.add("gate", retention_hours=100_000)
    day = {"Europe/Zurich": "2025-10-26", "America/New_York": "2025-11-02"}.get(name, "2025-04-06")
    hours = {"UTC": 24, "Australia/Lord_Howe": 24.5}.get(name, 25)
    result = mirror.run("coverage", "--json", "--since", day, "--until", day, code=1, TZ=name)
    report = json.loads(result.stdout)
    assert report["until"] - report["since"] == hours * HOUR
    assert report["totals"] == {"neither": hours * HOUR}


def test_the_json_has_its_version(sides: Mirror) -> None:
    """A program can see whether it understands it."""
    report = coverage(sides)
    assert report["version"] == 1
    assert report.keys() == {"version", "well", "since", "until", "min_gap", "totals", "problems", "cameras"}
