"""The facts that a report is made from: everything that was found out about the mirrors at one moment."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.programs.desired import Desired
from heldar_mirror.supervisord.gateway import Process


@dataclass(frozen=True)
class Facts:
    """What the table asks for, and what supervisord, /proc and the programs' logs say, each by camera.

    `ffmpegs` are the cameras whose recorder has an ffmpeg; it matters only for those without an open segment. `errors`
    are the last errors, each with its time (Unix seconds).
    `programs_known` is False if supervisord could not be asked, so that `programs` may lack some. `files_known` is
    False if some recorders' open files could not be seen, so that `segments` may lack some.
    """

    desired: Desired
    programs: Mapping[str, Process]
    segments: Mapping[str, Segment]
    ffmpegs: Collection[str]
    errors: Mapping[str, tuple[float, str]]
    programs_known: bool
    files_known: bool

    @cached_property
    def unusable(self) -> Mapping[str, str]:
        """The reason why a row can't be used, by camera."""
        return {bad.camera_id: bad.reason for bad in self.desired.unusable}
