#!/usr/bin/env python3
"""Measure what 200 cameras cost that refuse every connection, or never answer, beside the seed's loop.

Both run for the same five minutes. Ours includes everything from the start on: `up`, supervisord, the watcher and its
children, recorders and ffmpegs. Of the seed's loop only the ffmpegs count, because our copy of the loop, in Python,
costs more than the one in Heldar's kernel.
"""

import os
import socket
import struct
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

from fleet import camera_ids
from measure import Figure, cpu_seconds, cpu_with_ended_children, record, with_children
from streams import loop_beside, real_mirror

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.listeners import refusing, silent

NUMBER = 10
AIM = 0.1
CAMERAS = 200
MINUTES, MINUTE = 5, 60.0
BESIDE = "ffmpegs of the seed's loop"

# Linux's process connector, which reports every fork: linux/netlink.h, linux/connector.h, linux/cn_proc.h.
NETLINK_CONNECTOR, CN_IDX_PROC, CN_VAL_PROC, PROC_CN_MCAST_LISTEN, NLMSG_DONE = 11, 1, 1, 1, 3
SO_RCVBUFFORCE = 33
EVENT, FORK_EVENT = struct.Struct("=16x20xI12x4I"), 1


class Forks(threading.Thread):
    """Record each process that starts on this machine from now on. Needs root in the machine's own namespaces."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((0, CN_IDX_PROC))
        message = struct.pack("=IIIIHHI", CN_IDX_PROC, CN_VAL_PROC, 0, 0, 4, 0, PROC_CN_MCAST_LISTEN)
        self._socket.send(struct.pack("=IHHII", 16 + len(message), NLMSG_DONE, 0, 0, os.getpid()) + message)
        self._forks: list[tuple[int, int]] = []
        self._failure: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            while True:
                event = self._socket.recv(4096)
                if len(event) >= EVENT.size:
                    what, _, parent, child, child_process = EVENT.unpack_from(event)
                    if what == FORK_EVENT and child == child_process:  # otherwise it is a thread
                        self._forks.append((parent, child))
        except OSError as error:
            self._failure = error  # such as ENOBUFS: some events were lost

    def below(self, root: int) -> int:
        """Return how many descendants a process has started. Raises OSError if events were lost."""
        if self._failure:
            raise self._failure
        family, count = {root}, 0
        for parent, child in list(self._forks):
            if parent in family and child != root:
                family.add(child)
                count += 1
            elif child != root:
                family.discard(child)  # its id was reused
        return count


def measure(what: str, port: int) -> list[Figure]:
    """Measure what cameras cost that are all at one port of loopback."""
    ports = dict.fromkeys(camera_ids(CAMERAS), port)
    with real_mirror(ports) as mirror, loop_beside(mirror) as loop:
        forks, begun = Forks(), time.monotonic()
        looks = [(0.0, 0.0, 0.0, 0.0)]
        with loop.up() as their, mirror.up(watched=True) as our:
            for minute in range(1, MINUTES + 1):
                time.sleep(max(0.0, begun + minute * MINUTE - time.monotonic()))
                our_cpu = sum(map(cpu_with_ended_children, with_children(our.pid)))
                their_cpu = sum(map(cpu_with_ended_children, with_children(their.pid)))
                their_cpu -= cpu_seconds([their.pid])
                looks.append((our_cpu, their_cpu, forks.below(our.pid), forks.below(their.pid)))
    minutes = [[after - before for before, after in pairwise(of)] for of in zip(*looks, strict=True)]
    our_cpu, their_cpu, our_count, their_count = looks[-1]
    return [
        Figure(NUMBER, f"CPU {what}, {MINUTES} minutes", "s", [our_cpu], BESIDE, [their_cpu], AIM),
        Figure(NUMBER, f"CPU {what}, each minute", "s", minutes[0], BESIDE, minutes[1]),
        Figure(NUMBER, f"processes started {what}, {MINUTES} minutes", "", [our_count], BESIDE, [their_count], AIM),
        Figure(NUMBER, f"processes started {what}, each minute", "", minutes[2], BESIDE, minutes[3]),
    ]


def main() -> None:
    figures = []
    for manner, place in (("unreachable", refusing), ("silent", silent)):
        with place() as (_, port):
            figures += measure(f"with {CAMERAS} {manner} cameras", port)
    sys.exit(0 if record(*figures) else 1)


if __name__ == "__main__":
    main()
