"""Writing a file of the fragments of recordings: every packet as it is, at the time at which the new file has it."""

from heldar_mirror.packets.boxes import DamagedError
from heldar_mirror.packets.layout import UnknownLayoutError
from heldar_mirror.restore.copying import Progress, copy_bytes, no_progress, read_bytes
from heldar_mirror.restore.joining import Plan
from heldar_mirror.restore.rewriting import AccessIndex, moved_moof
from heldar_mirror.restore.source import UncuttableError
from heldar_mirror.writing import write_all


def write_file(plan: Plan, out: int, progress: Progress = no_progress) -> int:
    """Write the file of a plan to an open, empty one, and return its size. `progress` is told of the bytes as they go.

    Raises UncuttableError, and OSError if the disk is full, a source has become shorter or the like. In either case a
    part of the file is written.
    """
    at = _write(out, plan.parts[0].source.head, progress)
    index, number = AccessIndex(), 0
    for part, later in zip(plan.parts, plan.shifts, strict=True):
        source, tracks = part.source, part.source.layout.tracks
        shifts = {track.id: shift for track, shift in zip(tracks, later, strict=True)}
        for fragment in part.fragments():
            number += 1
            content = read_bytes(source.fd, fragment.moof.offset, fragment.moof.end)
            try:
                moof = moved_moof(content, fragment.moof, at, number, shifts)
            except (UnknownLayoutError, DamagedError) as error:
                raise UncuttableError(source.path, str(error)) from None
            firsts = [(track, own[0]) for track, own in zip(tracks, fragment.packets, strict=True) if own]
            if not {track.id for track, _ in firsts} <= moof.trafs.keys():
                raise UncuttableError(source.path, f"the fragment at byte {fragment.moof.offset} has just changed")
            for track, first in firsts:
                if track.keyframes[first]:
                    shown = track.times[first] + track.shifts[first] + shifts[track.id]
                    index.add(track.id, shown, at, moof.trafs[track.id])
            at += _write(out, moof.content, progress)
            copy_bytes(source.fd, fragment.mdat.offset, fragment.mdat.end, out, progress)
            at += fragment.mdat.end - fragment.mdat.offset
    return at + _write(out, index.mfra(), progress)


def _write(out: int, content: bytes, progress: Progress) -> int:
    write_all(out, content)
    progress(len(content))
    return len(content)
