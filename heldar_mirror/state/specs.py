"""The launch specs and the programs file in the state directory."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import StateError
from heldar_mirror.footage.names import CAMERA_ID
from heldar_mirror.programs.launch_spec import LaunchSpec, parse_launch_spec, spec_path
from heldar_mirror.programs.plan import Change, Saved
from heldar_mirror.programs.stanzas import parse_names, parse_programs, program_name
from heldar_mirror.recorder import files
from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import replace_file, state_errors
from heldar_mirror.state.identity import owner_ids
from heldar_mirror.state.reading import read_state

# This file exists while supervisord runs just what the programs file says.
APPLIED_FILE = "applied"

PROGRAMS_REMEDY = "Remove it; then: heldar-mirror reconcile"

Fingerprint = tuple[int, ...]


def read_saved(settings: Settings) -> dict[str, Saved]:
    """Return the saved launch specs, by camera. Raises StateError if they can't be read."""
    with state_errors(settings):
        return {camera_id: _read_spec(camera_id, settings) for camera_id in saved_ids(settings)}


def saved_ids(settings: Settings) -> frozenset[str]:
    """Return the cameras with a saved launch spec. Raises StateError if they can't be listed."""
    with state_errors(settings):
        try:
            names = os.listdir(settings.specs_dir)
        except FileNotFoundError:
            return frozenset()
    ids = (name.removesuffix(".spec") for name in names if name.endswith(".spec"))
    return frozenset(filter(CAMERA_ID.fullmatch, ids))  # what is named otherwise was not made by us


def read_spec(camera_id: str, settings: Settings) -> LaunchSpec | None:
    """Return the saved launch spec of one camera, or None if there is none or it is damaged. Raises StateError."""
    with state_errors(settings), suppress(FileNotFoundError):
        return _read_spec(camera_id, settings).spec
    return None


def _read_spec(camera_id: str, settings: Settings) -> Saved:
    try:
        return Saved(*parse_launch_spec(files.as_text(files.read(spec_path(camera_id, settings)))))
    except (ValueError, files.NotPlainError):  # the next reconcile replaces it
        return Saved(None, read_programs(settings).get(program_name(camera_id, settings), 0))


def read_programs(settings: Settings) -> dict[str, int]:
    """Return the generation of each program in the programs file, by name. Raises StateError if it can't be read."""
    return parse_programs(_read_programs_file(settings))


def read_names(settings: Settings) -> frozenset[str]:
    """Return the names of the programs in the programs file, also of those that somebody edited. Raises StateError."""
    return parse_names(_read_programs_file(settings))


def without_stanza(camera_ids: Iterable[str], settings: Settings) -> frozenset[str]:
    """Return which of some cameras have no stanza in the programs file. Raises StateError."""
    names = read_names(settings)
    return frozenset(camera_id for camera_id in camera_ids if program_name(camera_id, settings) not in names)


def _read_programs_file(settings: Settings) -> str:
    return read_state(settings.programs_file, settings, PROGRAMS_REMEDY) or ""


def fingerprint(settings: Settings) -> Fingerprint:
    """Return a fingerprint of the state that changes whenever a reconcile writes. Raises StateError."""
    with state_errors(settings):
        found = settings.programs_file.stat(), settings.specs_dir.stat()
    return tuple(number for file in found for number in (file.st_ino, file.st_mtime_ns))


def write_specs(changes: tuple[Change, ...], settings: Settings) -> dict[str, StateError]:
    """Write the launch specs that a plan changes, each as a whole. Return why some could not be written, by camera."""
    with suppress(OSError):
        for leftover in settings.specs_dir.glob(".*.new"):  # a reconcile was killed while it wrote
            leftover.unlink()
    failed = {}
    for change in changes:
        spec = change.new or change.existing
        assert spec is not None  # noqa: S101 - a written change has one
        path = Path(spec_path(change.camera_id, settings))
        try:
            with state_errors(settings):
                replace_file(path, spec.render(change.generation), 0o600, owner_ids(settings))
        except StateError as error:
            failed[change.camera_id] = error
    return failed


def write_programs(text: str, settings: Settings) -> None:
    """Replace the programs file if its text changed, and note that it is not applied yet. Raises StateError."""
    path = settings.programs_file
    if read_state(path, settings, PROGRAMS_REMEDY) == text:
        return
    with state_errors(settings):
        (settings.state_dir / APPLIED_FILE).unlink(missing_ok=True)
        # It holds no secret, and if joined, the machine's supervisord reads it.
        replace_file(path, text, 0o644, None)


def is_applied(settings: Settings) -> bool:
    """Return whether supervisord has applied the present programs file. Raises StateError."""
    with state_errors(settings):
        return files.exists(str(settings.state_dir / APPLIED_FILE))


def set_applied(settings: Settings) -> None:
    """Remember that supervisord has applied the present programs file. Raises StateError."""
    with state_errors(settings):
        os.close(files.open_plain(str(settings.state_dir / APPLIED_FILE), os.O_RDWR | os.O_CREAT))


def write_supervisord(text: str, settings: Settings) -> Path:
    """Write the configuration of our own supervisord, and return its path. Raises StateError."""
    path = settings.state_dir / "supervisord.conf"
    with state_errors(settings):
        replace_file(path, text, 0o644, None)
    return path


def remove_specs(changes: tuple[Change, ...], settings: Settings) -> None:
    """Remove the launch specs of cameras whose programs were removed.

    Remove also those in the state directory if launch specs have moved elsewhere, such as to a tmpfs. Raises
    StateError.
    """
    with state_errors(settings):
        for change in changes:
            Path(spec_path(change.camera_id, settings)).unlink(missing_ok=True)
        if settings.specs_dir != settings.state_dir / "specs":
            for path in (settings.state_dir / "specs").glob("*.spec*"):
                path.unlink()
