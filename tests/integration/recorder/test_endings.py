"""How a recorder ends, and the line that it prints then."""

import os
import re
import subprocess

import pytest
from support.bench import PASSWORD, Bench
from support.listeners import open_port

from heldar_mirror.recorder.volume import LOCK


@pytest.mark.parametrize(
    ("ending", "how"),
    [("sys.exit(3)", "exit status 3"), ("", "exit status 0"), ("os.kill(os.getpid(), 9)", "signal 9")],
)
def test_one_line_says_how_ffmpeg_ended(bench: Bench, ending: str, how: str) -> None:
    """However ffmpeg ends, one line of level ERROR gives how long it ran, its status or signal, and its masked tail."""
    bench.stand_in(rf'complain(f"{{sys.argv[2]}}: 401\n\n2026-01-01T00:00:00Z ERROR forged\n".encode()); {ending}')
    line = bench.run()
    tail = f"rtsp://***@127.0.0.1:{open_port()}/Streaming/Channels/101: 401 | 2026-01-01T00:00:00Z ERROR forged"
    assert re.fullmatch(rf"ERROR ffmpeg ended after \d+ s, {how} \| {re.escape(tail)}", line)


def test_a_stop_is_no_error(bench: Bench) -> None:
    """A recorder that gets a SIGTERM ends with status 0 and says so at level INFO."""
    bench.stand_in("until_told()")
    process = bench.start()
    bench.noted()
    assert re.fullmatch(r"INFO stopped after \d+ s, exit status 255", bench.end(process))


def test_the_tail_is_the_last_whole_lines(bench: Bench) -> None:
    """Of a long stderr at most 8,192 bytes are shown. They begin with a whole line and end with the last one."""
    bench.stand_in(r'complain(b"".join(b"line %06d\n" % i for i in range(5000)))')
    lines = bench.run().split(" | ")[1:]
    assert lines == [f"line {i:06d}" for i in range(5000 - len(lines), 5000)]
    assert 8192 - 2 * len("line 000000\n") < sum(len(line) + 1 for line in lines) <= 8192


@pytest.mark.parametrize("kept", [3, 7, len(PASSWORD) - 1])
def test_no_half_of_a_password_is_told(bench: Bench, kept: int) -> None:
    """If the cut of the tail goes through a password, what is left of it is not shown, though no mask could match
    it."""
    after = 8192 - kept - 1
    bench.stand_in(rf'complain(b"x" * 9000 + b"{PASSWORD}\n" + b"y" * {after - 1} + b"\n")')
    line = bench.run()
    assert "yyy" in line
    assert PASSWORD[-kept:] not in line


def test_passwords_are_masked_in_every_form(bench: Bench) -> None:
    """Each secret of the launch spec is masked wherever it stands, and so is the user information of every URL."""
    bench.stand_in(rf'complain(b"401 for {PASSWORD}, ?pw={PASSWORD}&x rtsp://u:p@ss@host/ http://a:b@c\n")')
    assert bench.run().endswith("| 401 for ***, ?pw=***&x rtsp://***@host/ http://***@c")


def test_what_a_terminal_would_obey_is_shown_as_question_marks(bench: Bench) -> None:
    """Control characters, colours and bytes that are no UTF-8 reach no terminal."""
    bench.stand_in(r'complain(b"\x1b[31mred\x1b[0m\x07 \xc2\x9b2J \xff gr\xc3\xbcn\tend\n")')
    text = bench.run().split(" | ")[1]
    assert text.isprintable()
    assert text == "?[31mred?[0m? ?2J \N{REPLACEMENT CHARACTER} grün?end"


def test_a_flood_of_messages_does_not_hold_ffmpeg_up(bench: Bench) -> None:
    """A hundred thousand lines on stderr are read while ffmpeg goes on."""
    bench.stand_in(
        r'complain(b"".join(b"Non-monotonous DTS %06d\n" % i for i in range(100_000))); until_told()',
    )
    process = bench.start()
    assert bench.noted() == "ready"
    assert bench.end(process).endswith("| Non-monotonous DTS 099999")


def test_a_recorder_whose_output_nobody_reads_ends_as_usual(bench: Bench) -> None:
    """A recorder whose output nobody reads any more ends without an error."""
    bench.stand_in("until_told()")
    errors = bench.home / "errors"
    reader, writer = os.pipe()
    with errors.open("w") as file:
        process = subprocess.Popen(bench.command(bench.spec()), env=bench.env, stdout=writer, stderr=file, text=True)
    bench.started.append(process)
    bench.noted()
    os.close(writer)
    os.close(reader)
    process.terminate()
    assert process.wait(60) == 0
    assert not errors.read_text()


def test_the_line_is_told_though_the_directory_fails(bench: Bench) -> None:
    """What ffmpeg said is shown even if the camera directory can't be read any more."""
    bench.stand_in(r'camera.rename(f"{camera}.gone"); camera.touch(); complain(b"Input/output error\n"); sys.exit(1)')
    assert "exit status 1 | Input/output error" in bench.run()


def test_the_line_is_told_though_the_lock_cannot_be_written(bench: Bench) -> None:
    """What ffmpeg said is shown even if a write to the volume fails just after it has ended."""
    bench.stand_in(r"""
import resource
resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
complain(b"Input/output error\n"); sys.exit(1)""")
    line = bench.run()
    assert "exit status 1 | Input/output error | cannot write " in line
    assert line.endswith(f"/gate/{LOCK}: [Errno 27] File too large")


def test_a_directory_that_vanished_stays_gone(bench: Bench) -> None:
    """If a camera directory vanishes while ffmpeg runs, the recorder that ends does not make it again."""
    bench.stand_in(r'camera.rename(f"{camera}.gone"); complain(b"No such file\n"); sys.exit(1)')
    assert "exit status 1 | No such file" in bench.run()
    assert not (bench.root / "gate").exists()
