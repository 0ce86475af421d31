"""Writing into the primary's directory through the child process: real recordings, users and file systems."""

import hashlib
import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest
from support.file_systems import FILE_SYSTEMS
from support.lost_footage import (
    BEGUN,
    FRESH,
    RESTORE,
    check_plays,
    leftovers,
    lose_footage,
    mirror_of,
    new_file,
    piece_of,
    primary_directory,
    restoring_settings,
    segments,
    swap_places,
)
from support.made_footage import begun_of
from support.mirror import Mirror
from support.recordings import packets
from support.two_copies import DEBIAN, NEWEST
from support.users import HELDAR_UID, STRANGER_UID, as_root, python_for_all, run_as
from support.waiting import COMMAND_SECONDS

from heldar_mirror.errors import DirectoryError, ExistsError, GoneError, RestoreError, UnreadableError, VolumeError
from heldar_mirror.restore.writing import Writer


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("ffmpeg", [DEBIAN, NEWEST], ids=["debian", "newest"])
def test_lost_footage(mirror: Mirror, ffmpeg: str) -> None:
    """A whole segment comes back byte for byte, and parts of segments as files that play. Nothing is left over."""
    first, second, third = recorded = lose_footage(mirror, ffmpeg)
    before = [sha256(path) for path in recorded]
    with Writer(restoring_settings(mirror)) as writer:
        whole = writer.write(new_file(piece_of(third)), fresh_until=FRESH)
        assert whole.path == primary_directory(mirror) / third.name
        assert (sha256(whole.path), whole.modified) == (sha256(third), FRESH)
        check_plays(whole.path, 4)
        part = writer.write(new_file(piece_of(second, (1, 3)), name=BEGUN + 5), fresh_until=FRESH)
        check_plays(part.path, 2)
        joined = writer.write(
            new_file(piece_of(first, (2, 4)), piece_of(second), piece_of(third, (0, 1))), fresh_until=FRESH
        )
        check_plays(joined.path, 7)
        assert packets([joined.path]) == packets([first])[30:] + packets([second]) + packets([third])[:15]
        for each in (whole, part, joined):
            assert each.path.stat().st_size == each.size
            assert each.path.stat().st_mtime == FRESH
        with pytest.raises(ExistsError, match=f"the primary has {whole.path} by now"):
            writer.write(new_file(piece_of(third)), fresh_until=FRESH)
        with pytest.raises(GoneError):
            writer.write(new_file(piece_of(third)._replace(begun=1)), fresh_until=FRESH)
        with pytest.raises(UnreadableError, match="was changed since it was planned"):
            writer.write(
                new_file(piece_of(third)._replace(identity=piece_of(first).identity), name=1), fresh_until=FRESH
            )
        writer.touch("gate", begun_of(third), FRESH + 1)
        assert whole.path.stat().st_mtime == FRESH + 1
    assert [sha256(path) for path in recorded] == before
    assert len(segments(primary_directory(mirror))) == 4
    assert not leftovers(mirror)


def test_a_new_disk(mirror: Mirror) -> None:
    """Nothing is written into an empty directory unasked: the volume may not be mounted."""
    (first, *_) = lose_footage(mirror)
    directory = primary_directory(mirror)
    (directory / "20991231_235959.mp4").unlink()
    directory.rmdir()
    with (
        pytest.raises(RestoreError, match="holds no camera: is its volume mounted"),
        Writer(restoring_settings(mirror)),
    ):
        pass
    with Writer(restoring_settings(mirror), into_empty=True) as writer:
        written = writer.write(new_file(piece_of(first)), fresh_until=FRESH)
        assert written.modified != FRESH  # it is the last one
        with pytest.raises(RestoreError, match="another restore writes to"), Writer(restoring_settings(mirror)):
            pass
    assert sha256(written.path) == sha256(first)


def test_a_mirror_root_that_is_not_ours(mirror: Mirror) -> None:
    """One that was never used, and one whose volume is gone."""
    with pytest.raises(VolumeError, match="was never recorded to by this instance: nothing to restore"):
        Writer(restoring_settings(mirror)).__enter__()
    (first, *_) = lose_footage(mirror)
    (mirror.root / ".heldar-mirror").write_text("of another instance")
    with Writer(restoring_settings(mirror)) as writer, pytest.raises(VolumeError, match="the marker of another volume"):
        writer.write(new_file(piece_of(first)), fresh_until=FRESH)
    assert not leftovers(mirror)


def give(mirror: Mirror, uid: int, gid: int) -> Path:
    """Give the primary to a user. Return the camera's directory."""
    directory = primary_directory(mirror)
    for path in (directory.parent, directory, *directory.iterdir()):
        os.chown(path, uid, gid)
    return directory


@as_root
def test_the_owner_of_the_primary(mirror: Mirror) -> None:
    """Root gives new files the owner, the group and the mode that the others have. The owner need not have a name."""
    first, second, _ = lose_footage(mirror)
    directory = give(mirror, HELDAR_UID, HELDAR_UID + 1)
    directory.chmod(0o2710)
    (directory / "20991231_235959.mp4").chmod(0o640)
    (mirror.root / "yard").symlink_to("gate")
    with Writer(restoring_settings(mirror)) as writer:
        made = [writer.write(new_file(piece_of(first)), fresh_until=FRESH).path]
        writer.touch("gate", begun_of(first), FRESH + 1)
        (mirror.root / "yard").unlink()
        (mirror.root / "gate").rename(mirror.root / "yard")
        second = mirror.root / "yard" / second.name
        made.append(writer.write(new_file(piece_of(second), camera_id="yard"), fresh_until=FRESH).path)
    for path in made:
        for each, mode in ((path, 0o640), (path.parent, 0o2710)):
            about = each.stat()
            assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (HELDAR_UID, HELDAR_UID + 1, mode)
    assert made[0].stat().st_mtime == FRESH + 1


@as_root
def test_root_writes_only_where_the_owner_may(mirror: Mirror) -> None:
    """Where the owner of the files may not write, root does not either, and says whom that concerns."""
    (first, *_) = lose_footage(mirror)
    directory = give(mirror, HELDAR_UID, HELDAR_UID)
    os.chown(directory, 0, 0)
    with Writer(restoring_settings(mirror)) as writer:
        expected = (
            f"cannot write the primary's {directory}/.*: Permission denied. Root writes there as user {HELDAR_UID}"
        )
        with pytest.raises(DirectoryError, match=expected):
            writer.write(new_file(piece_of(first)), fresh_until=FRESH)
    assert len(segments(directory)) == 1


@as_root
def test_links_that_others_made(mirror: Mirror) -> None:
    """The owner of the primary may have put a link in its place, but it does not lead root to root's directories."""
    (first, *_) = lose_footage(mirror)
    recordings = give(mirror, HELDAR_UID, HELDAR_UID).parent
    theirs = mirror.home / "theirs"
    theirs.mkdir()
    link = theirs / "recordings"
    link.symlink_to(recordings)
    for path in (theirs, link):
        os.chown(path, HELDAR_UID, HELDAR_UID, follow_symlinks=False)
    mirror.env["HELDAR_RECORDINGS_DIR"] = str(link)
    with Writer(restoring_settings(mirror)) as writer:
        written = writer.write(new_file(piece_of(first)), fresh_until=FRESH)
    assert written.path.stat().st_uid == HELDAR_UID
    os.chown(recordings, 0, 0)
    with pytest.raises(RestoreError, match="root does not follow a link"), Writer(restoring_settings(mirror)):
        pass


@as_root
def test_the_command_becomes_the_mirrors_user(mirror: Mirror) -> None:
    """The writer stays root all the same. It reads the mirror as that user, so not what that user may not read."""
    first, second, _ = lose_footage(mirror)
    mirror_of("nobody", mirror)
    os.chown(second, 0, 0)
    give(mirror, HELDAR_UID, HELDAR_UID).chmod(0o700)
    command = [python_for_all(), "-c", RESTORE, first.name, second.name]
    env = mirror.env | {"HELDAR_MIRROR_USER": "nobody"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
    assert done.stderr == ""
    written, refused = done.stdout.splitlines()
    assert written == f"{pwd.getpwnam('nobody').pw_uid} {first.stat().st_size}"
    assert refused == f"UnreadableError cannot read the mirror's {second}: Permission denied"
    assert sha256(primary_directory(mirror) / first.name) == sha256(first)
    assert len(segments(primary_directory(mirror))) == 2
    assert not leftovers(mirror)


@as_root
def test_a_stranger(mirror: Mirror) -> None:
    """Neither who may not write there, nor who may and would own the files, restores anything. Both read what to do."""
    (first, *_) = lose_footage(mirror)
    mirror_of(pwd.getpwuid(STRANGER_UID).pw_name, mirror)
    directory = give(mirror, HELDAR_UID, HELDAR_UID)
    command = [python_for_all(), "-c", RESTORE, first.name]
    for mode, reason in ((0o755, f"the files there belong to user {HELDAR_UID}"), (0o700, "Permission denied")):
        directory.chmod(mode)
        done = run_as(STRANGER_UID, command, **mirror.env)
        assert done.stderr == ""
        path = f"{directory}/{first.name}"
        remedy = f"Run this as root, or as user {HELDAR_UID}"
        assert done.stdout.strip() == f"DirectoryError cannot write the primary's {path}: {reason}. {remedy}"
    directory.chmod(0o777)
    assert "DirectoryError" in run_as(STRANGER_UID, command, **mirror.env).stdout
    assert len(segments(directory)) == 1
    assert not leftovers(mirror)


@as_root
def test_heldars_own_user(mirror: Mirror) -> None:
    """Without root, the owner of the primary can restore what it may read of the mirror."""
    (first, *_) = lose_footage(mirror)
    mirror_of(pwd.getpwuid(STRANGER_UID).pw_name, mirror)
    directory = give(mirror, STRANGER_UID, pwd.getpwuid(STRANGER_UID).pw_gid)
    done = run_as(STRANGER_UID, [python_for_all(), "-c", RESTORE, first.name], **mirror.env)
    assert done.stdout == f"{STRANGER_UID} {first.stat().st_size}\n"
    assert (directory / first.name).stat().st_uid == STRANGER_UID


@as_root
@pytest.mark.slow
@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_other_file_systems(mirror: Mirror, kind: str) -> None:
    """The primary may be on any. Where a file can't be named without the danger of replacing one, that is said."""
    place = swap_places(mirror)
    with FILE_SYSTEMS[kind](mirror):
        first, second, _ = lose_footage(mirror)
        with Writer(restoring_settings(mirror)) as writer:
            if kind == "exfat":
                with pytest.raises(DirectoryError, match="knows neither links nor a rename that replaces nothing"):
                    writer.write(new_file(piece_of(first)), fresh_until=FRESH)
                assert os.listdir(place / "gate") == ["20991231_235959.mp4"]
                return
            written = writer.write(new_file(piece_of(first)), fresh_until=FRESH)
            assert sha256(written.path) == sha256(first)
            check_plays(writer.write(new_file(piece_of(second, (1, 3))), fresh_until=FRESH).path, 2)
            with pytest.raises(ExistsError):
                writer.write(new_file(piece_of(first)), fresh_until=FRESH)
        for path in segments(place / "gate"):
            assert path.stat().st_mode == (place / "gate/20991231_235959.mp4").stat().st_mode
        assert len(segments(place / "gate")) == 3
        assert not leftovers(mirror)
