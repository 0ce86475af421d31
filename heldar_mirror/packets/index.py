"""The packets of an mp4 file: where each lies, when it is shown, and its hash.

The boxes and fields are those of ISO/IEC 14496-12, under the names that they have there. Read are fragments (`moof`),
as our recorder and Heldar's write them, and the sample tables of a plain mp4 file (`stbl`). A sample of the standard is
called a packet here, as ffmpeg does. Edit lists are not applied, and unknown boxes are skipped.

Nothing in a file is trusted: whatever it says costs bounded memory and time, and ends in a `Damage`.
"""

import errno
import hashlib
import heapq
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from operator import add
from typing import NamedTuple

from heldar_mirror.packets.boxes import Box, Damage, DamagedError, read_header
from heldar_mirror.packets.tables import Run, read_tables

# More than any recording has: a day, the longest segment, of 50 pictures and 47 pieces of sound a second.
MAX_PACKETS = 1 << 23
# A moof and an mdat for each packet.
MAX_BOXES = 1 << 24
MAX_TRACKS = 100
# A moov or moof for that many packets is not larger.
MAX_INDEX = 128 << 20

READ_BYTES = 1 << 20

# tfhd's flags
BASE_DATA_OFFSET, SAMPLE_DESCRIPTION_INDEX, DEFAULT_DURATION, DEFAULT_SIZE, DEFAULT_FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
DEFAULT_BASE_IS_MOOF = 0x20000
# trun's flags
DATA_OFFSET, FIRST_SAMPLE_FLAGS, DURATION, SIZE, FLAGS, COMPOSITION_OFFSET = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
# A sample's flags
IS_NON_SYNC = 0x10000

# Far beyond any decode time or byte. The sum of the durations or sizes of MAX_PACKETS can still be added in 64 bits.
FAR = 1 << 62


class Packet(NamedTuple):
    """A packet. `offset` and `size` are bytes; the rest is in units of the track's timescale.

    It is shown at `time + shift`, where `time` is the decode time, and `shift` the composition offset.
    """

    offset: int
    size: int
    time: int
    duration: int
    shift: int
    keyframe: bool


@dataclass
class Track:
    """The packets of a track, in the order of the file. `handler` is `vide`, `soun` or the like.

    There are `timescale` units of time in a second. A packet takes 33 bytes of memory.
    """

    id: int
    handler: str
    timescale: int
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    times: "array[int]" = field(default_factory=lambda: array("q"))
    durations: "array[int]" = field(default_factory=lambda: array("I"))
    shifts: "array[int]" = field(default_factory=lambda: array("q"))
    keyframes: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Packet]:
        columns = (self.offsets, self.sizes, self.times, self.durations, self.shifts, map(bool, self.keyframes))
        return map(Packet, *columns)


class Index(NamedTuple):
    """The tracks of a file, and the first damage in it. Damaged packets are left out; whole ones after it are given."""

    tracks: list[Track]
    damage: Damage | None


class Length(NamedTuple):
    """When a file's first packet begins and its last one ends, in seconds of its own decode times; both 0 for none."""

    begin: float
    end: float
    damage: Damage | None


def read_packets(fd: int) -> Index:
    """Return the index of an open mp4 file. Only its boxes are read, not the data of the packets. Raises OSError."""
    walk = _Walk(fd)
    walk.walk(0)
    return walk.index()


def hash_packets(fd: int, tracks: Sequence[Track]) -> Iterator[tuple[int, bytes]]:
    """Yield the SHA-256 of each packet, and which of `tracks` it belongs to.

    Those of one track come in its order, and those of all tracks as they lie in the file, so that it is read once.
    Raises OSError, also if the file has become shorter since its index was read.
    """
    places = (zip(track.offsets, repeat(number), track.sizes, strict=False) for number, track in enumerate(tracks))
    for offset, number, size in heapq.merge(*places):
        yield number, _hash(fd, offset, size)


def _hash(fd: int, offset: int, size: int) -> bytes:
    made, end = hashlib.sha256(), offset + size
    while offset < end:
        piece = os.pread(fd, min(end - offset, READ_BYTES), offset)
        if not piece:
            raise OSError(errno.ENODATA, f"the file has become shorter: expected {end - offset} more bytes at {offset}")
        made.update(piece)
        offset += len(piece)
    return made.digest()


def read_length(fd: int) -> Length:
    """Return the length of an open mp4 file: by its first and last fragment if it has an `mfra`, else by all packets.

    Raises OSError.
    """
    walk = _Walk(fd)
    last = walk.last_moof()
    if last is not None:
        walk.walk(0, until_packets=True)
        walk.times.clear()  # so that the last fragment has to say its own time
        walk.walk(last)
    if last is None or walk.damage:
        walk = _Walk(fd)
        walk.walk(0)
    tracks, damage = walk.index()
    spans = [
        # In a damaged file a fragment may say a time before that of the one before it.
        (min(track.times) / track.timescale, max(map(add, track.times, track.durations)) / track.timescale)
        for track in tracks
        if track
    ]
    return Length(min((begin for begin, _ in spans), default=0.0), max((end for _, end in spans), default=0.0), damage)


class _Defaults(NamedTuple):
    """The values that packets have if their `trun` does not give them: those of `trex` or `tfhd`."""

    duration: int = 0
    size: int = 0
    flags: int = 0


class _Walk:
    """A walk through the boxes of a file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size
        self.tracks: dict[int, Track] = {}
        self.damage: Damage | None = None
        # By track: when its next packet is decoded, as far as it is known.
        self.times: dict[int, int] = {}
        self._defaults: dict[int, _Defaults] = {}
        self._has_moov = False

    def index(self) -> Index:
        """Return what was found."""
        damage = self.damage
        if not self._has_moov and damage is None:
            damage = Damage(self.size, "expected a box moov", cut=True)
        return Index(list(self.tracks.values()), damage)

    def walk(self, at: int, *, until_packets: bool = False) -> None:
        """Read the boxes from a byte on; the whole file, or up to the first packets."""
        for _ in range(MAX_BOXES):
            if at >= self.size or (until_packets and any(self.tracks.values())):
                return
            try:
                kind, begin, end = read_header(os.pread(self.fd, 16, at), at, self.size, cut=True)
            except DamagedError as error:
                self._note(error.damage)
                return
            try:
                if kind == "moov" and not self._has_moov:
                    self._moov(self._read(kind, at, begin, end))
                elif kind == "moof":
                    self._moof(self._read(kind, at, begin, end))
            except DamagedError as error:
                self._note(error.damage)
                self.times.clear()
            at = end
        self._note(Damage(at, f"more than {MAX_BOXES} boxes"))

    def last_moof(self) -> int | None:
        """Return where the last `moof` begins by the index at the file's end (`mfra`), or None if there is none."""
        try:
            mfro = Box("mfro", 0, memoryview(os.pread(self.fd, 16, max(0, self.size - 16))), 0)
            _, kind, _, size = mfro.unpack("I4sII")
            begin = self.size - size
            if kind != b"mfro" or begin < 0:
                return None
            kind, content, end = read_header(os.pread(self.fd, 16, begin), begin, self.size, cut=False)
            if kind != "mfra":
                return None
            found = [_last_entry(box) for box in self._read(kind, begin, content, end).boxes() if box.kind == "tfra"]
            last = max(found, default=0)
            return last if os.pread(self.fd, 8, last)[4:] == b"moof" else None
        except (DamagedError, OverflowError):
            return None

    def _note(self, damage: Damage) -> None:
        self.damage = self.damage or damage

    def _read(self, kind: str, offset: int, begin: int, end: int) -> Box:
        if end - begin > MAX_INDEX:
            raise DamagedError(offset, f"the box {kind} is larger than {MAX_INDEX >> 20} MiB")
        content = os.pread(self.fd, end - begin, begin)
        if len(content) < end - begin:
            raise DamagedError(offset, f"the box {kind} is not whole", cut=True)
        return Box(kind, offset, memoryview(content), begin)

    def _moov(self, moov: Box) -> None:
        self._has_moov = True
        for box in moov.boxes():
            if box.kind == "trak":
                self._trak(box)
            elif box.kind == "mvex":
                for trex in box.boxes():
                    if trex.kind == "trex":
                        _, track_id, _, *defaults = trex.unpack("IIIIII")
                        self._defaults[track_id] = _Defaults(*defaults)

    def _trak(self, trak: Box) -> None:
        tkhd, mdia = trak.child("tkhd"), trak.child("mdia")
        (track_id,) = tkhd.unpack("I", 20 if tkhd.version() == 1 else 12)
        mdhd, hdlr = mdia.child("mdhd"), mdia.child("hdlr")
        (timescale,) = mdhd.unpack("I", 20 if mdhd.version() == 1 else 12)
        handler = hdlr.unpack("4s", 8)[0].decode("latin-1")
        if timescale == 0:
            raise DamagedError(mdhd.offset, "the timescale is 0")
        if track_id in self.tracks or len(self.tracks) == MAX_TRACKS:
            raise DamagedError(tkhd.offset, f"track {track_id} is there twice, or more than {MAX_TRACKS} tracks are")
        track = self.tracks[track_id] = Track(track_id, handler, timescale)
        self.times[track.id] = 0
        stbl = mdia.child("minf").child("stbl")
        run, count = read_tables(stbl, self._limit())
        self._add(track, run)
        if run.known() < count:
            raise DamagedError(stbl.offset, f"expected {count} packets, and found only {run.known()} in the tables")

    def _left(self) -> int:
        return MAX_PACKETS - sum(map(len, self.tracks.values()))

    def _limit(self) -> int:
        """Return how many packets there can still be: none has less than a byte where one size is that of all."""
        return min(self._left(), self.size)

    def _moof(self, moof: Box) -> None:
        base = moof.offset
        for box in moof.boxes():
            if box.kind == "traf":
                base = self._traf(box, moof.offset, base)

    def _traf(self, traf: Box, moof: int, base: int) -> int:
        """Add the packets of a `traf`; return where its data ends, where that of the next begins if it says nothing."""
        track, base, defaults = self._tfhd(traf.child("tfhd"), moof, base)
        if tfdt := traf.children().get("tfdt"):
            (self.times[track.id],) = tfdt.unpack("Q" if tfdt.version() == 1 else "I", 4)
        if track.id not in self.times:
            raise DamagedError(traf.offset, "the box traf holds no tfdt, and the time before it is not known")
        if self.times[track.id] > FAR:
            raise DamagedError(traf.offset, "the decode time is too large")
        end = base
        for box in traf.boxes():
            if box.kind == "trun":
                end = self._trun(box, track, defaults, base, end)
        return end

    def _tfhd(self, tfhd: Box, moof: int, base: int) -> tuple[Track, int, _Defaults]:
        """Return the track of a `traf`, the byte from which data is counted, and the defaults of its packets."""
        flags, track_id = tfhd.unpack("II")
        if track_id not in self.tracks:
            raise DamagedError(tfhd.offset, f"there is no track {track_id}")
        at = 8
        if flags & BASE_DATA_OFFSET:
            (base,) = tfhd.unpack("Q", at)
            at += 8
        elif flags & DEFAULT_BASE_IS_MOOF:
            base = moof
        at += 4 if flags & SAMPLE_DESCRIPTION_INDEX else 0
        defaults = list(self._defaults.get(track_id, _Defaults()))
        for number, flag in enumerate((DEFAULT_DURATION, DEFAULT_SIZE, DEFAULT_FLAGS)):
            if flags & flag:
                (defaults[number],) = tfhd.unpack("I", at)
                at += 4
        return self.tracks[track_id], base, _Defaults(*defaults)

    def _trun(self, trun: Box, track: Track, defaults: _Defaults, base: int, start: int) -> int:
        """Add the packets of a `trun`; return where their data ends. It begins at `start` if the box says nothing."""
        flags, count = trun.unpack("II")
        at = 8
        if flags & DATA_OFFSET:
            start = base + trun.unpack("i", at)[0]
            at += 4
        first_flags = trun.unpack("I", at) if flags & FIRST_SAMPLE_FLAGS else ()
        at += 4 * len(first_flags)
        fields = [each for each in (DURATION, SIZE, FLAGS, COMPOSITION_OFFSET) if flags & each]
        table = trun.table(at, count * len(fields))
        columns = {each: table[number :: len(fields)] for number, each in enumerate(fields)}
        if SIZE not in fields and count and not defaults.size:
            raise DamagedError(trun.offset, "the sizes of the packets are not known")
        sizes = columns.get(SIZE) or array("I", [defaults.size]) * min(count, self._limit())
        shifts = columns.get(COMPOSITION_OFFSET) or array("I", bytes(4 * len(sizes)))
        if trun.version() == 1:
            shifts = array("i", shifts.tobytes())
        sample_flags = columns.get(FLAGS) or array("I", [defaults.flags]) * len(sizes)
        sample_flags[: len(first_flags)] = array("I", first_flags[: len(sizes)])
        keyframes = bytearray(not each & IS_NON_SYNC for each in sample_flags)
        durations = columns.get(DURATION) or array("I", [defaults.duration]) * len(sizes)
        if abs(start) > FAR:
            raise DamagedError(trun.offset, "the place of the data is too far away")
        offsets = array("q", accumulate(sizes, initial=start))
        end: int = offsets.pop()
        self._add(track, Run(offsets, sizes, durations, shifts, keyframes))
        if len(sizes) < count:
            raise DamagedError(trun.offset, f"{count} packets of {defaults.size} bytes are too many")
        return end

    def _add(self, track: Track, run: Run) -> None:
        """Add packets that follow each other in a track, up to the first one that is not whole."""
        whole, left = 0, self._left()
        for offset, size in zip(run.offsets[: run.known()], run.sizes, strict=False):
            if offset < 0 or offset + size > self.size:
                self._note(Damage(min(max(offset, 0), self.size), "the data of a packet is not whole", cut=offset >= 0))
                break
            whole += 1
        added = min(whole, left)
        times = array("q", accumulate(run.durations[: run.known()], initial=self.times[track.id]))
        self.times[track.id] = times.pop()
        track.offsets.extend(run.offsets[:added])
        track.sizes.extend(run.sizes[:added])
        track.times.extend(times[:added])
        track.durations.extend(run.durations[:added])
        track.shifts.extend(iter(run.shifts[:added]))
        track.keyframes += run.keyframes[:added]
        if added < whole:
            raise DamagedError(run.offsets[added], f"more than {MAX_PACKETS} packets")


def _last_entry(tfra: Box) -> int:
    """Return the `moof_offset` of the last entry of a `tfra`, or 0 if it has none."""
    version, _, lengths, count = tfra.unpack("IIII")
    wide = version >> 24 == 1
    numbers = sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
    length = (16 if wide else 8) + numbers
    return tfra.unpack("QQ" if wide else "II", 16 + (count - 1) * length)[1] if count else 0
