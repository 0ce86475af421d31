"""What lies where a file of the state is expected: only a plain file of text is taken for one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.examples import settings
from support.no_plain_files import NO_PLAIN_FILES

from heldar_mirror.errors import StateError
from heldar_mirror.programs.plan import Saved
from heldar_mirror.pruning.memory import RETENTION_FILE, read_retention
from heldar_mirror.settings import Settings
from heldar_mirror.state.locks import locked
from heldar_mirror.state.secrets import SECRETS_FILE, read_secrets, write_secrets
from heldar_mirror.state.specs import is_applied, read_programs, read_saved, read_spec, set_applied, write_programs
from heldar_mirror.state.volumes import parse_volumes, remember_volume, remembered_volume
from heldar_mirror.status.publishing import read_report


@pytest.fixture
def state(tmp_path: Path) -> Settings:
    """Settings whose directories exist."""
    made = settings(MIRROR_STATE_DIR=str(tmp_path), MIRROR_RECORDINGS_DIR=str(tmp_path / "mirror"))
    for directory in (made.specs_dir, made.status_file.parent):
        directory.mkdir()
    return made


def _lock(state: Settings) -> None:
    with locked(state):
        pass


# Each file of the state, with what opens it.
USES: dict[str, list[Callable[[Settings], object]]] = {
    "volumes": [remembered_volume, lambda state: remember_volume("volume", state)],
    "programs.conf": [read_programs, lambda state: write_programs("new", state)],
    RETENTION_FILE: [read_retention],
    f"specs/{SECRETS_FILE}": [lambda state: read_secrets(state.specs_dir)],
    "status/status.json": [read_report],
    "lock": [_lock],
    "applied": [set_applied],
}
EACH_USE = [(name, use) for name, uses in USES.items() for use in uses]


@pytest.mark.parametrize("kind", NO_PLAIN_FILES)
@pytest.mark.parametrize(("name", "use"), EACH_USE)
def test_what_is_no_plain_file_is_an_error(
    state: Settings, name: str, use: Callable[[Settings], object], kind: str
) -> None:
    """It is never taken for a file that is missing, and nothing waits for it. The error names it, and what to do."""
    path = state.state_dir / name
    NO_PLAIN_FILES[kind](path)
    with pytest.raises(StateError, match=rf"{path}: expected a plain file, "):
        use(state)


@pytest.mark.parametrize("name", ["volumes", "programs.conf", f"specs/{SECRETS_FILE}"])
def test_what_is_no_text_is_an_error(state: Settings, name: str) -> None:
    """Bytes that are no UTF-8 are not taken for a file that says less. The error says what to do."""
    path = state.state_dir / name
    path.write_bytes(b"a\xff\n")
    for use in USES[name]:
        with pytest.raises(StateError, match=rf"{path}.* it is not UTF-8 from byte 1 on\. [A-Z]"):
            use(state)
    assert path.read_bytes() == b"a\xff\n"


def test_a_byte_order_mark_changes_nothing(state: Settings) -> None:
    """A person may have edited the file."""
    remember_volume("one", state)
    write_secrets({"HELDAR_SECRET_KEY": "made up"}, state)
    for path in (state.state_dir / "volumes", state.specs_dir / SECRETS_FILE):
        path.write_bytes(path.read_text().encode("utf-8-sig"))
    assert remembered_volume(state) == "one"
    assert read_secrets(state.specs_dir) == {"HELDAR_SECRET_KEY": "made up"}


@pytest.mark.parametrize("kind", NO_PLAIN_FILES)
def test_what_is_no_launch_spec_is_a_damaged_one(state: Settings, kind: str) -> None:
    """It costs only its camera, whose spec is written anew."""
    NO_PLAIN_FILES[kind](state.specs_dir / "gate.spec")
    assert read_saved(state) == {"gate": Saved(None, 0)}
    assert read_spec("gate", state) is None


@pytest.mark.parametrize("text", ["", "a b", "one\n", "one /a\ntwo", "one /a\n\n", "one mirror\n", " /a\n"])
def test_a_damaged_file_of_volumes_is_no_shorter_one(state: Settings, text: str) -> None:
    """A root that is left out would count as never used."""
    with pytest.raises(ValueError, match=r"line|end"):
        parse_volumes(text)
    (state.state_dir / "volumes").write_text(text)
    with pytest.raises(StateError, match=r"volumes is damaged: .*adopt-volume"):
        remembered_volume(state)


@pytest.mark.parametrize("name", ["no camera.spec", "a\udcff.spec", ".gate.spec", ".spec", "a\nb.spec"])
def test_a_file_that_is_named_like_no_camera_is_no_launch_spec(state: Settings, name: str) -> None:
    """supervisord could not even be asked for a program of such a name."""
    (state.specs_dir / name).touch()
    assert read_saved(state) == {}


def test_what_was_applied_is_remembered(state: Settings) -> None:
    write_programs("one", state)
    assert not is_applied(state)
    for _ in range(2):
        set_applied(state)
        assert is_applied(state)
    write_programs("one", state)
    assert is_applied(state)
    write_programs("two", state)
    assert not is_applied(state)
