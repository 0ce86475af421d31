"""The messages between a side and its child."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.sides import protocol
from heldar_mirror.sides.protocol import ALIVE, EndedError, Frame, FrameReader, encode
from heldar_mirror.writing import write_all


def received(written: bytes, frames: int = 1) -> list[Frame]:
    """Return the answers in what a child has written before it ended."""
    theirs, ours = os.pipe()

    def write() -> None:
        write_all(ours, written)
        os.close(ours)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reader = FrameReader(theirs, lambda: None)
        return [reader.answer() for _ in range(frames)]
    finally:
        while os.read(theirs, 1 << 20):
            pass
        writer.join()
        os.close(theirs)


FIELDS = st.dictionaries(st.text(max_size=5).filter("sizes".__ne__), st.integers() | st.text() | st.none(), max_size=3)


@given(st.lists(st.tuples(FIELDS, st.lists(st.binary(max_size=300), max_size=4), st.integers(0, 2)), max_size=4))
def test_answers_arrive_as_they_were_given(frames: list[tuple[dict[str, object], list[bytes], int]]) -> None:
    """With all their blocks, one after the other, whatever signs of life come between them."""
    written = b"".join(alive * ALIVE + encode(fields, blocks) + b"".join(blocks) for fields, blocks, alive in frames)
    assert received(written, len(frames)) == [Frame(fields, blocks) for fields, blocks, _ in frames]


def test_a_large_answer() -> None:
    """It is larger than a pipe holds."""
    blocks = [os.urandom(3_000_000), b"", os.urandom(100_000)]
    assert received(encode({}, blocks) + b"".join(blocks)) == [Frame({}, blocks)]


@pytest.mark.parametrize(
    "written",
    [b"", b"{", b'{"a": 1}\n', b"[]\n", b"nonsense\n", b"[" * 100_000 + b"\n", ALIVE, encode({}, [b"1234"]) + b"123"],
)
def test_a_child_that_ends_or_says_nonsense(written: bytes) -> None:
    """It is an error, and never half an answer."""
    with pytest.raises(EndedError):
        received(written)


def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line or a block that is too long is not collected."""
    monkeypatch.setattr(protocol, "MAX_LINE", 100)
    monkeypatch.setattr(protocol, "MAX_BLOCKS", 1000)
    with pytest.raises(EndedError, match="a line of more than"):
        received(bytes(200_000))
    with pytest.raises(EndedError, match="is larger than"):
        received(b'{"sizes": [1000, 1]}\n' + bytes(1001))
