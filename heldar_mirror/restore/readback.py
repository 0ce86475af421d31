"""Reading a new file of the primary's back, and comparing it with the segments of the mirror that it was taken from."""

from collections.abc import Sequence

from heldar_mirror.errors import MirrorError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.plan import NewFile, Piece
from heldar_mirror.sides.recorded import PacketTrack
from heldar_mirror.sides.side import Side

DIGEST_BYTES = 32


class DifferentError(MirrorError):
    """A new file is not what it should be."""


def read_back(new: NewFile, primary: Side, mirror: Side) -> None:
    """Raise DifferentError unless the primary's file is what is wanted of the mirror, and the errors of both sides."""
    primary.drop(new.camera_id, new.name)
    try:
        if len(new.pieces) == 1 and new.pieces[0].chosen is None:
            _compare_files(new, primary, mirror)
        else:
            _compare_packets(new, primary, mirror)
    except _DiffersError as error:
        path = primary.root / new.camera_id / segment_name(new.name)
        raise DifferentError(
            f"the primary's {path} is not what the mirror has: {error}. See dmesg for faults of its disk, delete the "
            "file, and restore again"
        ) from None


class _DiffersError(Exception):
    """How a file differs."""


def _compare_files(new: NewFile, primary: Side, mirror: Side) -> None:
    ours, _ = mirror.sha256(new.camera_id, new.pieces[0].begun)
    theirs, _ = primary.sha256(new.camera_id, new.name)
    if ours != theirs:
        raise _DiffersError(f"its SHA-256 is {theirs.hex()}, expected {ours.hex()}")


def _compare_packets(new: NewFile, primary: Side, mirror: Side) -> None:
    """Compare the packets of each piece with those that follow each other in the new file."""
    made = primary.hashes(new.camera_id, new.name)
    if made.damage:
        raise _DiffersError(made.damage)
    begins = [0] * len(made.tracks)
    for piece in new.pieces:
        source = mirror.hashes(new.camera_id, piece.begun).tracks
        chosen = _chosen(new.camera_id, piece, mirror)
        if not len(source) == len(chosen) == len(made.tracks):
            raise _DiffersError(f"it has {len(made.tracks)} tracks, expected {len(source)}")
        shifts = []
        for track, own, ours, begin in zip(made.tracks, chosen, source, begins, strict=True):
            if own:
                shifts.append((_shift(track, begin, ours, own), track.timescale))
        _check_shifts(shifts)
        begins = [begin + len(own) for begin, own in zip(begins, chosen, strict=True)]
    for track, begin in zip(made.tracks, begins, strict=True):
        if len(track) != begin:
            raise _DiffersError(f"track {track.id} has {len(track)} packets, expected {begin}")


def _chosen(camera_id: str, piece: Piece, mirror: Side) -> list[range]:
    """Return for each track of a segment the numbers of the packets that are wanted."""
    fragments = mirror.layout(camera_id, piece.begun).fragments
    first, behind = piece.chosen or (0, len(fragments))
    if not first < behind <= len(fragments):
        path = mirror.root / camera_id / segment_name(piece.begun)
        raise _DiffersError(f"{path} has {len(fragments)} fragments by now, expected {behind}")
    ends = zip(fragments[first].packets, fragments[behind - 1].packets, strict=True)
    return [range(begin.start, end.stop) for begin, end in ends]


def _shift(track: PacketTrack, begin: int, ours: PacketTrack, own: range) -> int:
    """Return by how many units the packets of a track are later than the mirror's. Raises _DiffersError."""
    theirs, wanted = slice(begin, begin + len(own)), slice(own.start, own.stop)
    for name in ("sizes", "durations", "keyframes"):
        if getattr(track, name)[theirs] != getattr(ours, name)[wanted]:
            raise _DiffersError(f"the {name} of the packets of track {track.id} differ")
    if track.timescale != ours.timescale or _digests(track, theirs) != _digests(ours, wanted):
        raise _DiffersError(f"packets of track {track.id} differ")
    shifts = {theirs - ours for theirs, ours in zip(track.times[theirs], ours.times[wanted], strict=True)}
    if len(shifts) != 1:
        raise _DiffersError(f"the times of track {track.id} were not all shifted alike")
    return shifts.pop()


def _digests(track: PacketTrack, packets: slice) -> bytes:
    return track.digests[packets.start * DIGEST_BYTES : packets.stop * DIGEST_BYTES]


def _check_shifts(shifts: Sequence[tuple[int, int]]) -> None:
    """Raise _DiffersError unless one time, rounded down, gives the shifts of all tracks. Each has its timescale."""
    for shift, timescale in shifts:
        for other, its_timescale in shifts:
            if shift * its_timescale >= (other + 1) * timescale:
                raise _DiffersError("its tracks were shifted against each other")
