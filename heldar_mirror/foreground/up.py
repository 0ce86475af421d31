"""A supervisord of our own, in the foreground, for as long as we are asked to run."""

import os
import pickle
import pwd
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import DatabaseError, HungError, MirrorError, StateError, SupervisordError
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.programs import stanzas as programs
from heldar_mirror.reconcile import reconcile
from heldar_mirror.settings import WATCH, Settings
from heldar_mirror.state import directory as state
from heldar_mirror.supervisord.gateway import STOP_SECONDS, Gateway
from heldar_mirror.volume import asking as volume

# Three descriptors a program (facts of supervisord 4.3 with redirect_stderr), and as many again for the cameras to
# come. More is no safer: supervisord closes every one of them, open or not, in each child that it starts.
DESCRIPTORS_PER_PROGRAM = 3
MIN_DESCRIPTORS = 4096

# Before 5.0 `-timeout` meant 'listen', and recording fails at once.
OLDEST_FFMPEG = 5

# What a database is given to be read before what was last known is mirrored without it.
DATABASE_SECONDS = 20

# A watcher that has published nothing for so long hangs: it does so every 10 s at least.
HUNG_WATCHER_SECONDS = 90
MAX_PATIENCE_SECONDS = 3600

PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")

SECRETS = ("HELDAR_SECRET_KEY", "HELDAR_MIRROR_SUPERVISOR_PASSWORD")


def warnings(settings: Settings) -> list[str]:
    """Return what a person should know before anything runs. Raises VolumeError for a mirror root that is refused."""
    found = [_place_warning(settings), _ffmpeg_warning(settings.ffmpeg)]
    if os.geteuid() == 0 and settings.user is None:
        found.append("recorders run as root: set HELDAR_MIRROR_USER to a user that needs to own nothing but the mirror")
    with suppress(OSError):
        if int(PTRACE_SCOPE.read_text()) > 1:
            found.append(f"{PTRACE_SCOPE} keeps ffmpeg's password from being hidden: mount /proc with hidepid=2")
    return [warning for warning in found if warning]


def _place_warning(settings: Settings) -> str | None:
    assert settings.mirror_root is not None  # noqa: S101 - the caller's matter
    try:
        return volume.check_apart(settings.mirror_root, settings.recordings_dir)
    except HungError as error:
        return f"{error} Whether the mirror root is apart from the primary's can't be told"


def _ffmpeg_warning(ffmpeg: str) -> str | None:
    try:
        banner = subprocess.run(
            [ffmpeg, "-version"], env=_without_secrets(), capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"HELDAR_FFMPEG_BIN={ffmpeg}: expected an ffmpeg that can be run: {error}"
    version = re.match(r"ffmpeg version n?(\d+)\.", banner)
    if version and int(version[1]) < OLDEST_FFMPEG:
        return (
            f"HELDAR_FFMPEG_BIN={ffmpeg} is version {version[1]}, and can't record: its -timeout makes it wait for a "
            f"caller. Expected {OLDEST_FFMPEG} or later"
        )
    return None


def _without_secrets() -> dict[str, str]:
    """Return our environment as a child may have it."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


def become(user: str) -> None:
    """Go on as `user`, for good, with that user's groups. Only root can."""
    volume.dismiss()  # who becomes somebody else may not ask as root
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir


def up(settings: Settings, tell: Callable[[str], None]) -> int:
    """Run a supervisord with a program for each camera that wants a mirror, until SIGTERM or SIGINT.

    `tell` is given what a person should know. Returns the exit code: 0 after a signal, 1 where supervisord ended by
    itself. Raises MirrorError where it can't begin. What the table asks for can't be known? Then what it asked for
    when it was last read is mirrored.
    """
    with state.lock_file(settings.state_dir / "up.lock", settings) as lock:
        if not state.take(lock):
            raise StateError(
                f"heldar-mirror up is running already on {settings.state_dir}: expected one for each state"
            )
        with state.locked(settings):
            known = settings.programs_file.exists()
            try:
                plan, problem = reconcile.write(_read_rows(settings), settings)
                if problem and not known:
                    raise problem  # it was never up, so there is no last known good
                # What stands in the state and is not wanted any more can't be running: supervisord is not up yet.
                state.remove_specs(plan.removed, settings)
                tell(f"cameras to mirror to {settings.mirror_root}: {len(plan.generations)}")
                for text in (*(f"camera {bad.camera_id}: {bad.reason}" for bad in plan.unusable), problem):
                    if text:
                        tell(str(text))
            except DatabaseError as error:
                tell(f"{error} Going on with the last known good until it can be read")
                if lost := len(state.read_programs(settings)) - len(state.read_saved(settings)):
                    tell(f"{lost} mirrors can't start until then: their credentials were on a tmpfs")
                if not known:
                    state.write_programs(programs.render_programs({}, settings), settings)
            state.write_secrets({name: os.environ[name] for name in SECRETS if name in os.environ}, settings)
            configuration = state.write_supervisord(
                programs.render_supervisord(
                    settings, str(os.geteuid()), _descriptors(tell, settings), _working_directory()
                ),
                settings,
            )
        volume.dismiss()  # from now on the watcher asks
        return _run(configuration, settings, tell)


def _read_rows(settings: Settings) -> list[Row]:
    """Return the rows of all cameras, read by a child: whoever asks a disk that hangs may never come back.

    Raises DatabaseError; also where nothing comes within DATABASE_SECONDS.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(writer, 1)
            os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # or our locks would hang with it
            try:
                answer: object = reconcile.read_rows(settings)
            except MirrorError as error:
                answer = error
            with open(1, "wb", closefd=False) as file:
                pickle.dump(answer, file)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        if not select.select([file], [], [], DATABASE_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)  # and no waiting: it may be beyond that
            raise DatabaseError(
                f"cannot read the cameras in {settings.database}: no answer within {DATABASE_SECONDS} s. Does its "
                "disk hang?"
            )
        found = pickle.load(file)  # noqa: S301 - our own child's
    os.waitpid(child, 0)
    if isinstance(found, MirrorError):
        raise found
    return list(found)


def _working_directory() -> str:
    """Where relative paths of the settings begin; a directory that was removed since is nobody's."""
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return "/"


def _descriptors(tell: Callable[[str], None], settings: Settings) -> int:
    wanted = max(MIN_DESCRIPTORS, 256 + 2 * DESCRIPTORS_PER_PROGRAM * len(state.read_saved(settings)))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return wanted
    tell(f"the limit of open files is {hard}, enough for {(hard - 64) // DESCRIPTORS_PER_PROGRAM} cameras: raise it")
    return hard


def _run(configuration: Path, settings: Settings, tell: Callable[[str], None]) -> int:
    stopping, reload = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if not os.isatty(0):  # where a terminal that is closed means it to end us
        signal.signal(signal.SIGHUP, lambda *_: reload.set())
    notify_socket = os.environ.pop("NOTIFY_SOCKET", None)
    child = subprocess.Popen(
        [
            *["setpriv", "--pdeathsig", "TERM", "--"],
            *[sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)],
        ],
        env=_without_secrets() | {"HELDAR_MIRROR_SPECS_DIR": str(settings.specs_dir)},
        stdin=subprocess.DEVNULL,
        # In the foreground supervisord ignores its own umask setting.
        umask=settings.umask,
        # Where we were started there may be files that are named like modules.
        cwd="/",
        # A terminal's Ctrl-C is for us: supervisord would stop one program after another.
        start_new_session=True,
    )
    # In a thread, since a supervisord that hangs may not keep us from being stopped.
    threading.Thread(target=_accompany, args=(settings, tell, reload, notify_socket), daemon=True).start()
    while child.poll() is None and not stopping.wait(0.5):
        pass
    if child.poll() is not None and not stopping.is_set():
        raise SupervisordError(
            f"supervisord ended by itself, with exit status {child.returncode}: see above, and "
            f"{settings.log_dir / 'supervisord.log'}"
        )
    try:
        Gateway(settings).shut_down()
    except MirrorError as error:
        tell(f"{error} Stopping it by signal")
        child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        tell("supervisord did not end; killing it")
        child.kill()
        child.wait()
    return 0


def _accompany(
    settings: Settings, tell: Callable[[str], None], reload: threading.Event, notify_socket: str | None
) -> None:
    """Tell systemd when supervisord has read what is to run; then keep the watcher from hanging, and hand `reload`
    on to it. Never returns."""
    gateway = Gateway(settings)
    while not _listens(settings.state_dir / "supervisor.sock"):
        time.sleep(0.2)
    if notify_socket:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, suppress(OSError):
            sock.sendto(b"READY=1", re.sub("^@", "\0", notify_socket))
    published, since, patience = _published(settings), time.monotonic(), HUNG_WATCHER_SECONDS
    while True:
        if reload.wait(5):
            reload.clear()
            _done(lambda: gateway.signal([WATCH], "HUP"))
        now = time.monotonic()
        if (latest := _published(settings)) != published:
            published, since, patience = latest, now, HUNG_WATCHER_SECONDS
        elif now - since > patience:
            if _done(lambda: _end_watcher(gateway)):
                tell(f"the watcher has published nothing for {now - since:.0f} s; see watch.log. It is started anew")
            # It may be that it can't publish, which another one can't either.
            since, patience = now, min(2 * patience, MAX_PATIENCE_SECONDS)


def _listens(path: Path) -> bool:
    """Whether supervisord has read its files. It answers only when it has started all programs, a minute's work."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def _end_watcher(gateway: Gateway) -> None:
    """Kill the watcher; supervisord starts it again. Raises SupervisordError, also where a person has stopped it."""
    watcher = gateway.processes_of([WATCH])[WATCH]
    if watcher is None or watcher.is_down:
        raise SupervisordError("the watcher does not run")
    gateway.signal([WATCH], "KILL")


def _published(settings: Settings) -> tuple[int, int] | None:
    """What is another after each time that the watcher has published its status. The clock may step, so no age is."""
    try:
        status = settings.status_file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _done(call: Callable[[], None]) -> bool:
    try:
        call()
    except MirrorError:
        return False
    return True
