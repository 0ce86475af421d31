"""Running a supervisord of our own in the foreground, until a signal ends it."""

import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from heldar_mirror.children import PYTHON, TERM_WITH_US
from heldar_mirror.errors import DatabaseError, MirrorError, StateError, SupervisordError
from heldar_mirror.foreground.attendant import accompany
from heldar_mirror.foreground.orphans import reap_orphans
from heldar_mirror.programs.desired import desired_state
from heldar_mirror.programs.stanzas import log_path, render_programs
from heldar_mirror.reconcile.reconcile import read_rows, write
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import state_errors
from heldar_mirror.state.locks import locked, opened_lock_file, try_lock
from heldar_mirror.state.secrets import environment_with_settings, secrets_of, write_secrets
from heldar_mirror.state.specs import read_programs, remove_specs, saved_ids, write_programs, write_supervisord
from heldar_mirror.supervisord.configuration import render_supervisord
from heldar_mirror.supervisord.gateway import STOP_TIMEOUT_SECONDS, Gateway
from heldar_mirror.volume.asking import dismiss

# supervisord 4.3 has three descriptors open for each program with redirect_stderr. The limit allows twice as many
# cameras. It is no higher, since supervisord closes every descriptor up to it, open or not, in each child it starts.
DESCRIPTORS_PER_PROGRAM = 3
MIN_DESCRIPTORS = 4096


def up(settings: Settings, say: Callable[[str], None]) -> int:
    """Run a supervisord with a program for each camera that wants a mirror, until SIGTERM or SIGINT.

    `say` is called with what a person should know. Returns 0, the exit code after a signal. Raises MirrorError if it
    can't begin, or if supervisord ends by itself. If the table can't be read, it mirrors what the table asked for when
    it was last read.
    """
    with opened_lock_file(settings.state_dir / "up.lock", settings) as lock:
        if not try_lock(lock):
            raise StateError(
                f"heldar-mirror up is running already on {settings.state_dir}: expected one for each state directory"
            )
        with locked(settings):
            was_up_before = settings.programs_file.exists()
            try:
                written = write(desired_state(read_rows(settings), settings), settings)
                plan, problem = written.plan, written.problem
                if problem and not was_up_before:
                    raise problem  # there is no last known good to go on with
                # supervisord isn't up yet, so what the plan removes can't be running.
                try:
                    remove_specs(plan.removed, settings)
                except StateError as error:
                    problem = problem or error
                say(f"cameras to mirror to {settings.mirror_root}: {len(plan.generations)}")
                for text in (*(f"camera {bad.camera_id}: {bad.reason}" for bad in plan.unusable), problem):
                    if text:
                        say(str(text))
            except DatabaseError as error:
                say(f"{error} Going on with the last known good until it can be read")
                if lost := len(read_programs(settings)) - len(saved_ids(settings)):
                    say(f"{lost} mirrors can't start until then: their credentials were on a tmpfs")
                if not was_up_before:
                    write_programs(render_programs({}, settings), settings)
            write_secrets(secrets_of(os.environ), settings)
            configuration = write_supervisord(
                render_supervisord(settings, str(os.geteuid()), _descriptors(say, settings), _working_directory()),
                settings,
            )
            _check_files(settings)
        dismiss()  # from now on only the watcher asks the volume
        return _run(configuration, settings, say)


def _check_files(settings: Settings) -> None:
    """Raise StateError if supervisord would hang when it opens its files, or could not replace its socket."""
    socket = settings.state_dir / "supervisor.sock"
    own = settings.state_dir / "supervisord.pid", settings.log_dir / "supervisord.log", settings.log_dir / "watch.log"
    logs = [log_path(camera_id, settings) for camera_id in saved_ids(settings)]
    with state_errors(settings):
        for path in [*map(str, own), *logs]:
            with suppress(FileNotFoundError):
                os.close(open_plain(path))
        if socket.is_dir():
            raise StateError(f"{socket} is a directory, expected a socket or nothing there. Remove it")


def _working_directory() -> str:
    """Return the directory to which relative paths in the settings are relative.

    It is `/` if there can be none: the directory was removed, or supervisord's files can't hold its name.
    """
    try:
        directory = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return "/"
    return directory if directory.isprintable() else "/"


def _descriptors(say: Callable[[str], None], settings: Settings) -> int:
    wanted = max(MIN_DESCRIPTORS, 256 + 2 * DESCRIPTORS_PER_PROGRAM * len(saved_ids(settings)))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return wanted
    say(f"the limit of open files is {hard}, enough for {(hard - 64) // DESCRIPTORS_PER_PROGRAM} cameras: raise it")
    return hard


def _run(configuration: Path, settings: Settings, say: Callable[[str], None]) -> int:
    stopping, reload = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if not os.isatty(0):  # on a terminal, SIGHUP means that the terminal was closed, so it must end us
        signal.signal(signal.SIGHUP, lambda *_: reload.set())
    notify_socket = os.environ.get("NOTIFY_SOCKET")
    child = subprocess.Popen(
        [
            *(*TERM_WITH_US, *PYTHON),
            *["-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)],
        ],
        env=environment_with_settings() | {"HELDAR_MIRROR_SPECS_DIR": str(settings.specs_dir)},
        stdin=subprocess.DEVNULL,
        # In the foreground supervisord ignores its own umask setting.
        umask=settings.umask,
        cwd="/",
        # A terminal's Ctrl-C must reach only `up`: supervisord would stop one program after another.
        start_new_session=True,
    )
    # The attendant has its own thread, so that `up` can be stopped even if supervisord hangs.
    threading.Thread(target=accompany, args=(settings, say, reload, notify_socket), daemon=True).start()
    while child.poll() is None and not stopping.wait(0.5):
        reap_orphans(child.pid)
    if child.poll() is not None and not stopping.is_set():
        raise SupervisordError(
            f"supervisord ended by itself, with exit status {child.returncode}: see above, and "
            f"{settings.log_dir / 'supervisord.log'}"
        )
    try:
        Gateway(settings).shut_down()
    except MirrorError as error:
        say(f"{error} Stopping it by signal")
        child.terminate()
    try:
        child.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        say("supervisord did not end; killing it")
        child.kill()
        child.wait()
    return 0
