"""The layout of a fragmented mp4 file: what lies before its fragments, and which packets each fragment holds."""

import os
from operator import add
from typing import NamedTuple

from heldar_mirror.packets.boxes import Damage
from heldar_mirror.packets.tracks import Track
from heldar_mirror.packets.walk import Place, Walk

# Fragments times tracks. The longest segment, a day, has fewer with three tracks and a keyframe a second.
MAX_SHARES = 1 << 18
# What may lie beside the fragments of a file. These boxes hold no packets.
BESIDE = ("free", "skip", "styp", "sidx", "mfra")


class UnknownLayoutError(Exception):
    """The file is not made of fragments, or not in a way that is known here. The message says how it differs."""


class Fragment(NamedTuple):
    """A `moof` and the `mdat` behind it: where they lie in the file, and the numbers of the packets of each track."""

    moof: Place
    mdat: Place
    packets: tuple[range, ...]


class Layout(NamedTuple):
    """Where the boxes `ftyp` and `moov` lie, the tracks, and the fragments up to the first damage, all of them whole.

    The tracks may have packets of a damaged fragment as well, behind those of the whole ones.
    """

    ftyp: Place
    moov: Place
    tracks: list[Track]
    fragments: list[Fragment]
    damage: Damage | None


def read_layout(fd: int) -> Layout:
    """Return the layout of an open file. Only its boxes are read. Raises UnknownLayoutError, and OSError."""
    walk = Walk(fd)
    head: dict[str, Place] = {}
    fragments: list[Fragment] = []
    counts: tuple[int, ...] = ()
    moof: Place | None = None
    for place in walk.boxes():
        if walk.damage:
            break
        if place.kind == "moof" and not moof:
            moof = place
            continue  # its packets belong to the fragment that the next box completes
        tracks = list(walk.tracks.values())
        if moof:
            fragments.append(_fragment(fd, moof, place, tracks, counts))
            moof = None
        else:
            _take(place, head, tracks, started=bool(fragments))
        if len(fragments) * len(tracks) > MAX_SHARES:
            raise UnknownLayoutError(f"it has more than {len(fragments) - 1} fragments")
        counts = tuple(map(len, tracks))
    walk.check_moov()
    if len(head) < 2:
        raise UnknownLayoutError(walk.damage.reason if walk.damage else "it has no box ftyp")
    return Layout(head["ftyp"], head["moov"], list(walk.tracks.values()), fragments, walk.damage)


def _take(place: Place, head: dict[str, Place], tracks: list[Track], *, started: bool) -> None:
    """Take a box that is no part of a fragment into the head, if it belongs there."""
    if place.kind in ("ftyp", "moov") and place.kind not in head and not started:
        head[place.kind] = place
        if any(tracks):
            raise UnknownLayoutError("its moov lists packets, as that of a plain mp4 does")
    elif place.kind == "mdat":
        raise UnknownLayoutError("it has data that belongs to no fragment, as a plain mp4 has")
    elif place.kind not in BESIDE:
        raise UnknownLayoutError(f"the box {place.kind} at byte {place.offset} is not known")


def _fragment(fd: int, moof: Place, mdat: Place, tracks: list[Track], counts: tuple[int, ...]) -> Fragment:
    """Return the fragment of two boxes that follow each other; before it, each track had so many packets."""
    where = f"the fragment at byte {moof.offset}"
    if mdat.kind != "mdat":
        raise UnknownLayoutError(f"{where} is followed by the box {mdat.kind}, not by its data")
    if os.pread(fd, 4, mdat.offset) == bytes(4):
        raise UnknownLayoutError(f"{where} does not say how large its data is")
    packets = tuple(range(begin, len(track)) for begin, track in zip(counts, tracks, strict=True))
    for track, own in zip(tracks, packets, strict=True):
        offsets = track.offsets[own.start : own.stop]
        ends = map(add, offsets, track.sizes[own.start : own.stop])
        if own and (min(offsets) < mdat.begin or max(ends) > mdat.end):
            raise UnknownLayoutError(f"the data of {where} lies outside of it")
    return Fragment(moof, mdat, packets)
