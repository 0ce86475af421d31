"""Reading many cameras' segments on one side."""

import errno
import os
import pwd
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from heldar_mirror.coverage.timeline import UNREADABLE, Known, known
from heldar_mirror.errors import MirrorError, UnreadableError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.sides.ends import JOIN_SECONDS, OPEN_SECONDS
from heldar_mirror.sides.recorded import Recorded
from heldar_mirror.sides.side import Side


@dataclass
class Found:
    """What one side has of a camera: `recorded`, or None if that could not be read at the time `read_at`.

    `problem` says why of this camera, and `side_problem` why of the whole side, which is not asked any more then.
    """

    recorded: Recorded | None = None
    problem: str | None = None
    side_problem: str | None = None
    read_at: float = field(default_factory=time.time)


class Question(NamedTuple):
    """What a side is asked of a camera, as in `Side.recorded`."""

    since: float
    until: float
    segment_seconds: int
    join_seconds: float = JOIN_SECONDS


def read_cameras(side: Side, questions: Mapping[str, Question]) -> Iterator[Found]:
    """Yield what a side has of each camera that there is a question about."""
    now = time.time()
    side_problem = None
    for camera_id, question in questions.items():
        # Frames that ffmpeg has not written yet belong to a camera's newest segment, so that one has to be known.
        until = now if now - OPEN_SECONDS < question.until < now else question.until
        found = Found(side_problem=side_problem)
        if side_problem is None:
            try:
                found = Found(side.recorded(camera_id, *question._replace(until=until)))
            except UnreadableError as error:
                found = Found(problem=str(error))
            except MirrorError as error:  # its volume hangs, or is not the right one
                side_problem = str(error)
                found = Found(side_problem=side_problem)
        yield found


def known_of(found: Found, segment_seconds: int) -> Known:
    """Return what is known of a side. What its ffmpeg may not have written yet counts as footage."""
    recorded = found.recorded
    if recorded is None:
        return UNREADABLE
    footage, unread = known(recorded, segment_seconds)
    if recorded.begun:
        written_until = max(recorded.begun[-1], recorded.ends[-1])
        if 0 < found.read_at - written_until <= OPEN_SECONDS:
            footage = Spans([*footage.spans, (written_until, found.read_at)])
    return Known(footage, unread)


def with_advice(problem: str) -> str:
    """Return a problem with what to do about it, if it is that we may not read something."""
    if os.strerror(errno.EACCES) not in problem:
        return problem
    return (
        f"{problem}. Put the user {_user()} into Heldar's group, or run the command as a user who may read both sides"
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def problems_of(found: Found, side: str) -> Iterator[str]:
    """Yield what of a camera could not be read on a side."""
    if found.problem:
        yield with_advice(found.problem)
    if found.recorded and found.recorded.unread:
        yield with_advice(f"cannot read {_files(found.recorded.unread, side)}")


def notes_of(found: Found, side: str) -> Iterator[str]:
    """Yield what is wrong with a camera's files on a side. What they lack shows in the stretches."""
    if found.recorded and found.recorded.damaged:
        yield f"damaged: {_files(found.recorded.damaged, side)}"


def _files(reasons: Mapping[int, str], side: str) -> str:
    first = min(reasons)
    return f"{len(reasons):,} of the {side}'s files, such as {segment_name(first)}: {reasons[first]}"
