#!/usr/bin/env python3
"""Mirror as Heldar's kernel itself can: one process with a loop per camera, which sleeps between two ffmpegs.

Usage: seeds_loop.py COMMANDS, a JSON file with ffmpeg's arguments by camera. The loop runs ffmpeg, reads its stderr and
keeps the last 8 KiB. After an ffmpeg that ran for more than 30 s it sleeps 1 s, else twice as long as before, 30 s at
most. It prints a line at each start and each end. At SIGTERM it ends, and has its ffmpegs end as well.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

TAIL_BYTES = 8192
LONG_SECONDS = 30
MAX_SLEEP_SECONDS = 30
# An ffmpeg that gets no media ignores the first SIGTERM.
KILL_AFTER_SECONDS = 5


async def tail_of(stderr: asyncio.StreamReader) -> bytes:
    tail = b""
    while chunk := await stderr.read(4096):
        tail = (tail + chunk)[-TAIL_BYTES:]
    return tail


async def end(ffmpeg: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        ffmpeg.terminate()
        try:
            await asyncio.wait_for(ffmpeg.wait(), KILL_AFTER_SECONDS)
        except asyncio.TimeoutError:
            ffmpeg.kill()
    await ffmpeg.wait()


async def keep_recording(camera: str, command: list[str]) -> None:
    sleep = 1
    while True:
        print(camera, "starting", flush=True)
        begun = time.monotonic()
        ffmpeg = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "TZ": "UTC"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert ffmpeg.stderr
            tail = asyncio.create_task(tail_of(ffmpeg.stderr))
            code = await ffmpeg.wait()
        except asyncio.CancelledError:
            await end(ffmpeg)
            raise
        ran = time.monotonic() - begun
        print(camera, f"ended after {ran:.1f} s with {code}:", len(await tail), "bytes", flush=True)
        sleep = 1 if ran > LONG_SECONDS else min(sleep * 2, MAX_SLEEP_SECONDS)
        await asyncio.sleep(sleep)


async def run(commands: dict[str, list[str]]) -> None:
    loops = [asyncio.create_task(keep_recording(camera, command)) for camera, command in commands.items()]

    def end_all() -> None:
        for loop in loops:
            loop.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end_all)
    for result in await asyncio.gather(*loops, return_exceptions=True):
        if result and not isinstance(result, asyncio.CancelledError):
            raise result


if __name__ == "__main__":
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text())))
