"""The walk through the boxes of an mp4 file, which collects the packets of its tracks.

The boxes and fields are those of ISO/IEC 14496-12, under the names that they have there.
"""

import os
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from heldar_mirror.packets.boxes import Box, Damage, DamagedError, read_header
from heldar_mirror.packets.fragments import FAR, Defaults, read_tfdt, read_tfhd, read_trex, read_trun
from heldar_mirror.packets.tables import Run, read_tables
from heldar_mirror.packets.tracks import Track

# More than any recording has: a day, the longest segment, of 50 pictures and 47 pieces of sound a second.
MAX_PACKETS = 1 << 23
# A moof and an mdat for each packet.
MAX_BOXES = 1 << 24
MAX_TRACKS = 100
# A moov or moof for that many packets is not larger.
MAX_INDEX = 128 << 20


class Place(NamedTuple):
    """Where a box lies in a file: its kind, and the bytes at which it begins, its content begins, and it ends."""

    kind: str
    offset: int
    begin: int
    end: int


class Walk:
    """A walk through the boxes of an open file. `tracks` has by id what was found, and `damage` the first damage."""

    def __init__(self, fd: int) -> None:
        self.tracks: dict[int, Track] = {}
        self.damage: Damage | None = None
        self._fd = fd
        self._size = os.fstat(fd).st_size
        # By track: when its next packet is decoded, as far as it is known.
        self._times: dict[int, int] = {}
        self._defaults: dict[int, Defaults] = {}
        self._has_moov = False

    def walk(self, at: int = 0, *, until_packets: bool = False) -> None:
        """Read the boxes from a byte on, to the end of the file or up to the first packets. Raises OSError.

        Later than at the beginning of a file, a fragment has to say its own time.
        """
        for _ in self.boxes(at):
            if until_packets and any(self.tracks.values()):
                return

    def boxes(self, at: int = 0) -> Iterator[Place]:
        """Read the boxes from a byte on as `walk` does, and yield where each one lies, after its packets were added."""
        if at:
            self._times.clear()
        for _ in range(MAX_BOXES):
            if at >= self._size:
                return
            try:
                kind, begin, end = read_header(os.pread(self._fd, 16, at), at, self._size, cut=True)
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
                self._times.clear()
            yield Place(kind, at, begin, end)
            at = end
        self._note(Damage(at, f"more than {MAX_BOXES} boxes"))

    def check_moov(self) -> None:
        """Take it for a damage if the file does not say which tracks it has."""
        if not self._has_moov:
            self._note(Damage(self._size, "expected a box moov", cut=True))

    def last_moof(self) -> int | None:
        """Return where the last `moof` begins by the index at the file's end (`mfra`), or None if there is none."""
        try:
            mfro = Box("mfro", 0, memoryview(os.pread(self._fd, 16, max(0, self._size - 16))), 0)
            _, kind, _, size = mfro.unpack("I4sII")
            begin = self._size - size
            if kind != b"mfro" or begin < 0:
                return None
            kind, content, end = read_header(os.pread(self._fd, 16, begin), begin, self._size, cut=False)
            if kind != "mfra":
                return None
            found = [_last_entry(box) for box in self._read(kind, begin, content, end).boxes() if box.kind == "tfra"]
            last = max(found, default=0)
            return last if os.pread(self._fd, 8, last)[4:] == b"moof" else None
        except (DamagedError, OverflowError):
            return None

    def _note(self, damage: Damage) -> None:
        self.damage = self.damage or damage

    def _read(self, kind: str, offset: int, begin: int, end: int) -> Box:
        if end - begin > MAX_INDEX:
            raise DamagedError(offset, f"the box {kind} is larger than {MAX_INDEX >> 20} MiB")
        content = os.pread(self._fd, end - begin, begin)
        if len(content) < end - begin:
            raise DamagedError(offset, f"the box {kind} is not whole", cut=True)
        return Box(kind, offset, memoryview(content), begin)

    def _moov(self, moov: Box) -> None:
        self._has_moov = True
        for box in moov.boxes():
            if box.kind == "trak":
                self._trak(box)
            elif box.kind == "mvex":
                self._defaults |= read_trex(box)

    def _trak(self, trak: Box) -> None:
        parts = trak.children()
        tkhd, mdia = parts.need("tkhd"), parts.need("mdia").children()
        (track_id,) = tkhd.unpack("I", 20 if tkhd.version() == 1 else 12)
        mdhd, hdlr = mdia.need("mdhd"), mdia.need("hdlr")
        (timescale,) = mdhd.unpack("I", 20 if mdhd.version() == 1 else 12)
        handler = hdlr.unpack("4s", 8)[0].decode("latin-1")
        if timescale == 0:
            raise DamagedError(mdhd.offset, "the timescale is 0")
        if track_id in self.tracks or len(self.tracks) == MAX_TRACKS:
            raise DamagedError(tkhd.offset, f"track {track_id} is there twice, or more than {MAX_TRACKS} tracks are")
        track = self.tracks[track_id] = Track(track_id, handler, timescale)
        self._times[track.id] = 0
        stbl = mdia.need("minf").child("stbl")
        run, count = read_tables(stbl, self._limit())
        self._add(track, run)
        if run.known() < count:
            raise DamagedError(stbl.offset, f"expected {count} packets, and found only {run.known()} in the tables")

    def _moof(self, moof: Box) -> None:
        base = moof.offset
        for box in moof.boxes():
            if box.kind == "traf":
                base = self._traf(box, moof.offset, base)

    def _traf(self, traf: Box, moof: int, base: int) -> int:
        """Add the packets of a `traf`; return where its data ends, where that of the next begins if it says nothing."""
        parts = traf.children()
        track_id, base, defaults = read_tfhd(parts.need("tfhd"), moof, base, self._defaults)
        if track_id not in self.tracks:
            raise DamagedError(parts["tfhd"].offset, f"there is no track {track_id}")
        if "tfdt" in parts:
            self._times[track_id] = read_tfdt(parts["tfdt"])
        if track_id not in self._times:
            raise DamagedError(traf.offset, "the box traf holds no tfdt, and the time before it is not known")
        if self._times[track_id] > FAR:
            raise DamagedError(traf.offset, "the decode time is too large")
        end = base
        for box in traf.boxes():
            if box.kind == "trun":
                run, end, count = read_trun(box, defaults, base, end, self._limit())
                self._add(self.tracks[track_id], run)
                if len(run.sizes) < count:
                    raise DamagedError(box.offset, f"{count} packets of {defaults.size} bytes are too many")
        return end

    def _left(self) -> int:
        return MAX_PACKETS - sum(map(len, self.tracks.values()))

    def _limit(self) -> int:
        """Return how many packets there can still be: none has less than a byte where one size is that of all."""
        return min(self._left(), self._size)

    def _add(self, track: Track, run: Run) -> None:
        """Add packets that follow each other in a track, up to the first one that is not whole."""
        whole, left = 0, self._left()
        for offset, size in zip(run.offsets[: run.known()], run.sizes, strict=False):
            if offset < 0 or offset + size > self._size:
                self._note(
                    Damage(min(max(offset, 0), self._size), "the data of a packet is not whole", cut=offset >= 0)
                )
                break
            whole += 1
        added = min(whole, left)
        times = array("q", accumulate(run.durations[: run.known()], initial=self._times[track.id]))
        self._times[track.id] = times.pop()
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
