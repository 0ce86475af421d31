#!/usr/bin/env python3
"""What the kernel itself does to mirror: a loop in one process for each camera, which sleeps between two ffmpegs.

COMMANDS names a JSON file with ffmpeg's arguments by camera. Each is run for as long as it lasts; its stderr is read
as it comes and the last 8 KiB kept. After an ffmpeg that ran for more than 30 s it sleeps 1 s, else twice as long as
before, 30 s at most. Each start and each end is a line on standard output. It ends at SIGTERM, and its ffmpegs with it.
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


async def tail_of(stderr: asyncio.StreamReader) -> bytes:
    tail = b""
    while chunk := await stderr.read(4096):
        tail = (tail + chunk)[-TAIL_BYTES:]
    return tail


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
            assert ffmpeg.stderr  # noqa: S101 - it is a pipe
            tail = asyncio.create_task(tail_of(ffmpeg.stderr))
            code = await ffmpeg.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                ffmpeg.kill()
            await ffmpeg.wait()
            raise
        ran = time.monotonic() - begun
        print(camera, f"ended after {ran:.1f} s with {code}:", len(await tail), "bytes", flush=True)
        sleep = 1 if ran > LONG_SECONDS else min(sleep * 2, MAX_SLEEP_SECONDS)
        await asyncio.sleep(sleep)


async def run(commands: dict[str, list[str]]) -> None:
    loops = asyncio.gather(*(keep_recording(camera, command) for camera, command in commands.items()))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, loops.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await loops


if __name__ == "__main__":
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text())))
