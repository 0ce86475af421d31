"""The attendant: it reports to systemd when supervisord is ready, passes SIGHUP on to the watcher, and kills a
watcher that hangs."""

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import MirrorError, SupervisordError
from heldar_mirror.settings import WATCH, Settings
from heldar_mirror.supervisord.gateway import Gateway

# A watcher that has published nothing for this long hangs, since it publishes every 10 s at least. After a kill the
# next watcher gets twice as long, up to the maximum.
HUNG_WATCHER_SECONDS = 90
MAX_PATIENCE_SECONDS = 3600


def accompany(
    settings: Settings, say: Callable[[str], None], reload: threading.Event, notify_socket: str | None
) -> None:
    """Report to systemd when supervisord has read the programs file. Then send the watcher SIGHUP when `reload` is set,
    and kill it if it hangs. Never returns.

    `notify_socket` is systemd's, or None. `say` is called with what a person should know.
    """
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
            _succeeds(lambda: gateway.signal([WATCH], "HUP"))
        now = time.monotonic()
        if (latest := _published(settings)) != published:
            published, since, patience = latest, now, HUNG_WATCHER_SECONDS
        elif now - since > patience:
            if _succeeds(lambda: _end_watcher(gateway)):
                say(f"the watcher has published nothing for {now - since:.0f} s; see watch.log. It is started again")
            # A new watcher may be unable to publish as well, so the next kill comes later.
            since, patience = now, min(2 * patience, MAX_PATIENCE_SECONDS)


def _listens(path: Path) -> bool:
    """Return whether supervisord has read its files, which it does before it listens. It answers only after it has
    started all programs, which takes a minute for a thousand."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def _end_watcher(gateway: Gateway) -> None:
    """Kill the watcher; supervisord starts it again. Raises SupervisordError, also if a person has stopped it."""
    watcher = gateway.processes_of([WATCH])[WATCH]
    if watcher is None or watcher.is_down:
        raise SupervisordError("the watcher does not run")
    gateway.signal([WATCH], "KILL")


def _published(settings: Settings) -> tuple[int, int] | None:
    """Return a value that changes each time the watcher publishes. After a clock step an age would mean nothing."""
    try:
        status = settings.status_file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _succeeds(call: Callable[[], None]) -> bool:
    try:
        call()
    except MirrorError:
        return False
    return True
