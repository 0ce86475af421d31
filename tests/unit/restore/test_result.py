"""What a restore says in the end, and with which exit code."""

import json
from typing import Any

import pytest

from heldar_mirror.errors import INTERRUPTED
from heldar_mirror.restore.following import Heldar
from heldar_mirror.restore.plan import LeftOut, NewFile
from heldar_mirror.restore.result import End, Indexing, Outcome, Restored, Result

HOUR = 3600


def new(begin: float, minutes: float = 1, camera_id: str = "gate") -> NewFile:
    return NewFile(camera_id, int(begin), (), begin, begin + 60 * minutes, 1000)


def back(begin: float = 0, indexing: Indexing = Indexing.INDEXED, **fields: Any) -> Restored:
    return Restored(new(begin, **fields), Outcome.RESTORED, indexing=indexing)


EXPIRED = LeftOut("gate", 0, 300, "Heldar would delete it again: it is older than 24 h.")


@pytest.mark.parametrize(
    ("result", "sentence", "code"),
    [
        (Result(), "Nothing had to be restored.", 0),
        (
            Result([back(0), back(60), back(30)], heldar=Heldar.RUNNING),
            "2m00s of gate can be played in Heldar again.",
            0,
        ),
        (
            Result([back(0, camera_id="yard", minutes=61), Restored(new(0), Outcome.THERE, "", Indexing.INDEXED)]),
            "1h02m of 2 cameras can be played in Heldar again.",
            0,
        ),
        (
            Result([back(0, Indexing.WAITING)], heldar=Heldar.STOPPED, start_within=3599),
            (
                "1m00s of gate lie in Heldar's recordings again, and Heldar, which is stopped, finds them if it is "
                "started within 59m59s."
            ),
            0,
        ),
        (
            Result([back(0), back(60, Indexing.WAITING)], heldar=Heldar.RUNNING, start_within=HOUR),
            (
                "1m00s of gate can be played in Heldar again; 1m00s of gate lie in Heldar's recordings again, and "
                "Heldar finds them in some minutes."
            ),
            0,
        ),
        (
            Result([back(0, Indexing.SLOW)], heldar=Heldar.RUNNING, start_within=HOUR),
            (
                "1m00s of gate lie in Heldar's recordings again, but Heldar does not index them: see Heldar's log, "
                "and whether it may read them and has the same HELDAR_RECORDINGS_DIR."
            ),
            1,
        ),
        (
            Result([back(0, Indexing.SLOW)], problem="cannot read the recordings in x: y.", start_within=HOUR),
            (
                "1m00s of gate lie in Heldar's recordings again, but whether Heldar has found them can't be seen, "
                "which it has to within 1h00m: cannot read the recordings in x: y."
            ),
            1,
        ),
        (
            Result([back(0, Indexing.DELETED)], heldar=Heldar.RUNNING),
            "1m00s of gate were restored, and deleted again by Heldar or somebody.",
            1,
        ),
        (
            Result([Restored(new(0), Outcome.UNPROVEN, "the mirror's x is gone", Indexing.INDEXED)]),
            "1m00s of gate can be played in Heldar again; 1m00s of gate could not be proven: the mirror's x is gone.",
            1,
        ),
        (
            Result(
                [
                    Restored(new(0), Outcome.DIFFERENT, "the primary's x is not\nwhat", Indexing.INDEXED),
                    Restored(new(60), Outcome.FAILED, "z."),
                    Restored(new(120), Outcome.FAILED, "y."),
                ],
            ),
            (
                "1m00s of gate are damaged: the primary's x is not what; 2m00s of gate could not be restored: z "
                "(and 1 more reason)."
            ),
            1,
        ),
        (
            Result([back(60), Restored(new(0), Outcome.NOT_REACHED)], end=End.INTERRUPTED),
            (
                "1m00s of gate can be played in Heldar again; 1m00s of gate are left for the next run, since it was"
                " interrupted."
            ),
            INTERRUPTED,
        ),
        (
            Result([Restored(new(0), Outcome.NOT_REACHED)], end=End.LOST, reason="no room for x. Go", lost_code=9),
            "1m00s of gate are left for the next run, since nothing more can be written or read: no room for x. Go.",
            9,
        ),
        (
            Result([back()], [EXPIRED, EXPIRED]),
            (
                "1m00s of gate can be played in Heldar again; 5m00s of gate were left out because Heldar would "
                "delete it again: it is older than 24 h."
            ),
            0,
        ),
        (
            Result(left_out=[LeftOut("gate", 0, 60 * number, f"{number}") for number in (1, 2, 3, 4)]),
            (
                "4m00s of gate were left out because 4; 3m00s of gate were left out because 3; 2m00s of gate were "
                "left out for other reasons."
            ),
            0,
        ),
    ],
)
def test_it_is_said_what_is_back_and_what_is_not(result: Result, sentence: str, code: int) -> None:
    """In one sentence, with the reasons, and time that is in two files counts once."""
    assert result.sentence() == sentence
    assert result.exit_code == code


def test_it_is_said_to_machines() -> None:
    """Each file has what became of it. All of it survives JSON."""
    result = Result([back(90)], [EXPIRED], heldar=Heldar.RUNNING)
    assert json.loads(json.dumps(result.to_json())) == {
        "version": 1,
        "well": True,
        "sentence": result.sentence(),
        "end": "all was tried",
        "reason": "",
        "heldar": "running",
        "problem": "",
        "start_within": None,
        "files": [
            {
                "camera_id": "gate",
                "name": "19700101_000130.mp4",
                "begin": 90.0,
                "end": 150.0,
                "size": 1000,
                "outcome": "restored",
                "reason": "",
                "indexing": "indexed",
            }
        ],
        "left_out": [{"camera_id": "gate", "begin": 0, "end": 300, "reason": EXPIRED.reason}],
    }
