"""What ffmpeg's reports say of the camera."""

import time

import pytest

from heldar_mirror.recorder import unread as sockets
from heldar_mirror.recorder.media import Media


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(sockets, "has_unread", lambda _pid: False)
    return Clock(monkeypatch)


def report(frames: int | str, time_us: int | str = 0, progress: str = "continue") -> bytes:
    return f"frame={frames}\nfps=10.0\nstream_0_0_q=-1.0\nout_time_us={time_us}\nprogress={progress}\n".encode()


def looks(found: Media, clock: Clock, seconds: int, *reports: bytes) -> list[int]:
    """Look each second, with one of the reports each ten, again and again. Return after how many it had stopped."""
    stopped = []
    for second in range(seconds):
        clock.now += 1
        if reports and second % 10 == 0:
            found.add(reports[second // 10 % len(reports)])
        if found.has_stopped(1):
            stopped.append(second)
    return stopped


def test_a_camera_that_sends_has_not_stopped(clock: Clock) -> None:
    """While one of the two counts changes there is media, however slow: frames without a time, a time without frames,
    and a time that runs backwards."""
    for kind in (
        [report(number) for number in range(1, 99)],
        [report(0, number) for number in range(1, 99)],
        [report(7, -number) for number in range(1, 99)],
    ):
        assert looks(Media(), clock, 980, *kind) == []


def test_a_camera_that_stops_is_noticed_after_a_minute(clock: Clock) -> None:
    """The same counts again and again are no media."""
    found = Media()
    found.add(report(42, 5_000_000))
    assert looks(found, clock, 120, report(42, 5_000_000))[0] in range(59, 62)


def test_before_the_first_keyframe_there_is_more_time(clock: Clock) -> None:
    """ffmpeg counts nothing before the first keyframe, which smart codecs send minutes apart."""
    found = Media()
    assert looks(found, clock, 310, report(0), report(0, "N/A"), report(0, -9223372036854775807 - 1))[0] >= 299
    assert not found.received


def test_an_ffmpeg_that_is_stuck_is_given_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """If data waits for ffmpeg the camera sends; a volume may be frozen. But not for ever, and each look is dear."""
    asked: list[int] = []

    def unread(pid: int) -> bool:
        asked.append(pid)
        return True

    monkeypatch.setattr(sockets, "has_unread", unread)
    found = Media()
    found.add(report(42))
    assert looks(found, clock, 400)[0] >= 299
    assert len(asked) in range(1, 12)


def test_a_pause_of_the_recorder_itself_is_no_stall(clock: Clock) -> None:
    """After a pause of the whole machine or container the time begins anew."""
    found = Media()
    found.add(report(42))
    assert looks(found, clock, 50) == []
    clock.now += 3600
    assert looks(found, clock, 50) == []
    assert looks(found, clock, 20) != []


@pytest.mark.parametrize(("silent", "cut"), [(0, True), (9, True), (15, False), (60, False)])
def test_an_end_in_the_midst_of_media_is_a_cut(clock: Clock, silent: int, *, cut: bool) -> None:
    """If media came until just before the end, the camera ended the session, not ffmpeg's timeout. The last report
    doesn't count, since it has what came since the one before."""
    found = Media()
    clock.now += 20
    found.add(report(200))
    clock.now += silent
    found.add(report(250, progress="end"))
    assert found.was_cut() == cut
    assert found.received


def test_reports_may_come_in_pieces(clock: Clock) -> None:
    """A pipe cuts where it likes."""
    found = Media()
    for byte in report(3):
        found.add(bytes([byte]))
    assert found.received
