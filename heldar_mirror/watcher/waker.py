"""Waking supervisord when a recorder ends, so that it starts the next one at once."""

import asyncio
import contextlib
import os

from heldar_mirror.errors import MirrorError
from heldar_mirror.supervisord.gateway import Process
from heldar_mirror.watcher.async_gateway import AsyncGateway


class Waker:
    """Calls supervisord whenever recorders have ended.

    supervisord collects ended processes in one turn of its loop and starts them again in the next. A turn comes once a
    second, or at a call. See docs/decisions.md, "The watcher wakes supervisord when a recorder ends".
    """

    def __init__(self, gateway: AsyncGateway) -> None:
        self._gateway = gateway
        self._loop = asyncio.get_running_loop()
        self._awaited: set[int] = set()
        self._ended = asyncio.Event()

    def await_end(self, process: Process) -> None:
        """Have the end of a running process noticed, if Linux and Python support pidfds."""
        if process.is_up and process.pid not in self._awaited and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(process.pid)
                try:
                    self._loop.add_reader(pidfd, self._has_ended, process.pid, pidfd)
                except OSError:
                    os.close(pidfd)
                    raise
                self._awaited.add(process.pid)

    def _has_ended(self, pid: int, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        self._awaited.remove(pid)
        self._ended.set()

    async def run(self) -> None:
        """Call supervisord each time recorders have ended, until this is cancelled.

        However many end during a call, one more call is enough for them.
        """
        while True:
            await self._ended.wait()
            self._ended.clear()
            # The watcher's tick reports a supervisord that doesn't answer.
            with contextlib.suppress(MirrorError):
                await self._gateway.greet()
