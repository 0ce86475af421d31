"""Commands with settings that turn mirroring off, or that can't be used."""

import pytest
from support.mirror import Mirror


@pytest.mark.parametrize("command", [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["status"], ["adopt-volume"]])
def test_without_a_mirror_directory_mirroring_is_off(mirror: Mirror, command: list[str]) -> None:
    """Without HELDAR_MIRROR_RECORDINGS_DIR every command says that mirroring is off, exits with 0, and makes
    nothing."""
    mirror.database.add("gate")
    before = sorted(mirror.home.rglob("*"))
    result = mirror.run(*command, HELDAR_MIRROR_RECORDINGS_DIR=" ")
    assert "mirroring is off: HELDAR_MIRROR_RECORDINGS_DIR is " in result.stdout
    assert sorted(mirror.home.rglob("*")) == before


@pytest.mark.parametrize("command", [["status"], ["reconcile"], ["reconcile", "--dry-run"]])
def test_that_mirroring_is_off_is_json_where_that_is_asked_for(mirror: Mirror, command: list[str]) -> None:
    """With `--json` that mirroring is off is in the JSON."""
    assert mirror.json(*command, HELDAR_MIRROR_RECORDINGS_DIR="")["mirroring"] is False


@pytest.mark.parametrize(
    ("line", "named"),
    [("export HELDAR_FFMPEG_BIN=/x", "export HELDAR_FFMPEG_BIN"), ("HELDAR_MIRROR_PREFIXX=x", "HELDAR_MIRROR_PREFIXX")],
)
@pytest.mark.parametrize("command", ["up", "reconcile", "status"])
def test_a_line_of_an_env_file_that_would_be_lost_is_told(mirror: Mirror, command: str, line: str, named: str) -> None:
    """A line of an env file that would have no effect is exit code 3, with its name, and nothing is made."""
    (mirror.home / "mirror.env").write_text(f"{line}\n")
    before = sorted(mirror.home.rglob("*"))
    assert named in mirror.run(command, code=3).stderr
    assert sorted(mirror.home.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HELDAR_SECRET_KEY", "hidden\udcff"),
        ("HELDAR_SECRET_KEY", "hidden\nHELDAR_MIRROR_SUPERVISOR_PASSWORD=hidden"),
        ("HELDAR_MIRROR_SUPERVISOR_PASSWORD", "hidden\udcff"),
        ("HELDAR_MIRROR_USER", "root\nuser=root"),
        ("HELDAR_MIRROR_USER", "\udcff"),
        ("HELDAR_MIRROR_ENV_FILE", "/a\udcff"),
    ],
)
@pytest.mark.parametrize("command", ["up", "reconcile", "status", "adopt-volume"])
def test_an_environment_that_is_no_text_is_told(mirror: Mirror, command: str, name: str, value: str) -> None:
    """A byte that is not UTF-8 (a surrogate, in Python) or a line break in a setting is exit code 3, with the setting's
    name. No secret is shown, and nothing is made."""
    before = sorted(mirror.home.rglob("*"))
    shown = mirror.run(command, code=3, **{name: value}).stderr
    assert shown.startswith(f"heldar-mirror: {name}")
    assert "expected" in shown
    assert "hidden" not in shown
    assert sorted(mirror.home.rglob("*")) == before
