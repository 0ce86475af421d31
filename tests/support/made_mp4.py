"""Made-up mp4 files. Their boxes are made as ISO/IEC 14496-12 says."""

import contextlib
import os
import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

# A keyframe may depend on others by its flags; only one of them counts.
SYNC, NON_SYNC = 0x01000000, 0x00010000
DATA = random.Random(1).randbytes(4096)


def u32(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *(number & 0xFFFFFFFF for number in numbers))


def u64(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}Q", *numbers)


def box(kind: str, *content: bytes) -> bytes:
    whole = b"".join(content)
    return u32(8 + len(whole)) + kind.encode() + whole


def large(kind: str, *content: bytes) -> bytes:
    """A box with a size of 64 bits."""
    whole = b"".join(content)
    return u32(1) + kind.encode() + u64(16 + len(whole)) + whole


def full(kind: str, flags: int, *content: bytes, version: int = 0) -> bytes:
    return box(kind, u32(version << 24 | flags), *content)


NO_TABLES = (full("stts", 0, u32(0)), full("stsc", 0, u32(0)), full("stsz", 0, u32(0, 0)), full("stco", 0, u32(0)))


def trak(
    track_id: int, handler: str = "vide", *tables: bytes, timescale: int = 1000, version: int = 0, duration: int = 0
) -> bytes:
    times = u64(0, 0) if version else u32(0, 0)
    length = (u64 if version else u32)(duration)
    return box(
        "trak",
        full("tkhd", 3, times, u32(track_id, 0), length, bytes(52), version=version),
        box(
            "mdia",
            full("mdhd", 0, times, u32(timescale), length, u32(0), version=version),
            full("hdlr", 0, u32(0), handler.encode(), bytes(12), b"any\0"),
            box("minf", box("stbl", full("stsd", 0, u32(0)), *(tables or NO_TABLES))),
        ),
    )


def moov(*traks: bytes, trex: Sequence[tuple[int, int, int, int]] = ()) -> bytes:
    """A `moov`; `trex` gives a track's id and the duration, size and flags of its packets."""
    defaults = [full("trex", 0, u32(track_id, 1, *values)) for track_id, *values in trex]
    return box("moov", full("mvhd", 0, bytes(96)), *traks, *([box("mvex", *defaults)] if defaults else []))


def tfhd(track_id: int, flags: int = 0x20000, *content: bytes) -> bytes:
    return full("tfhd", flags, u32(track_id), *content)


def tfdt(time: int, *, wide: bool = True) -> bytes:
    return full("tfdt", 0, u64(time) if wide else u32(time), version=int(wide))


def moof(*content: bytes) -> bytes:
    return box("moof", full("mfhd", 0, u32(1)), *content)


TWO_TRACKS = moov(
    trak(1, "vide"), trak(2, "soun", timescale=8000, version=1), trex=[(1, 40, 0, NON_SYNC), (2, 160, 10, SYNC)]
)


def fragment(
    at: int, time: int, sizes: Sequence[int], *, wide: bool = True, absolute: bool = False, first: int = SYNC
) -> bytes:
    """A `moof` and its `mdat` as our recorder writes them, at a byte and a time (ms): video, and twice the sound.

    With `absolute` data is counted from a byte of the file, as by other recorders, and `first` are the flags of the
    first picture.
    """
    sound = 2 * len(sizes)
    base = (0x1, u64(at)) if absolute else (0x20000,)

    def made(offset: int) -> bytes:
        return moof(
            box(
                "traf",
                tfhd(1, *base),
                tfdt(time, wide=wide),
                full("trun", 0x205, u32(len(sizes), offset, first, *sizes)),
            ),
            box(
                "traf",
                tfhd(2, *base),
                tfdt(time * 8, wide=wide),
                full("trun", 0x1, u32(sound, offset + sum(sizes))),
            ),
        )

    before = made(len(made(0)) + 8)
    return before + box("mdat", DATA[at % 1000 :][: sum(sizes) + 10 * sound])


def recording(
    *,
    mfra: bool = True,
    version: int = 0,
    fragments: Sequence[Sequence[int]] = ((90, 20, 30), (70, 5), (60, 1)),
    head: bytes = TWO_TRACKS,
    begin: int = 0,
    beside: bytes = b"",
    keyframes: Sequence[bool] = (),
    **form: bool,
) -> bytes:
    """A fragmented file with two tracks, which begins at a time (ms), with `beside` before each fragment.

    `keyframes` says of each fragment whether it begins with a keyframe; otherwise all do.
    """
    made = box("ftyp", b"isom") + head
    entries, time = [], begin
    for sizes, keyframe in zip(fragments, keyframes or repeat(True), strict=False):
        made += beside
        entries.append((time, len(made)))
        made += fragment(len(made), time, sizes, first=SYNC if keyframe else NON_SYNC, **form)
        time += 40 * len(sizes)
    if mfra:
        number = u64 if version else u32
        rows = (number(*each) + b"\1\1\1" for each in entries)
        table = full("tfra", 0, u32(1, 0, len(entries)), *rows, version=version)
        made += box("mfra", table, full("mfro", 0, u32(len(table) + 24)))
    return made


def with_each_number(content: bytes, begin: int, numbers: Sequence[bytes]) -> Iterable[bytes]:
    """Return the different contents in which one of the numbers stands at any byte from `begin` on."""
    places = range(begin, len(content))
    return dict.fromkeys(content[:at] + number + content[at + len(number) :] for at in places for number in numbers)


@contextlib.contextmanager
def opened(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("made.mp4")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)
