"""Publishing the report on every mirror."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from heldar_mirror.errors import MirrorError
from heldar_mirror.proc.open_segments import OpenSegments, Segment
from heldar_mirror.proc.recorders import ours
from heldar_mirror.settings import Settings
from heldar_mirror.status.facts import Facts
from heldar_mirror.status.publishing import StatusFile
from heldar_mirror.status.report import make_report
from heldar_mirror.watcher.follower import TICK_SECONDS, Follower
from heldar_mirror.watcher.last_errors import LastErrors
from heldar_mirror.watcher.problems import Problems
from heldar_mirror.watcher.program_table import ProgramTable

# The report is published every second, or less often if that would take more than this share of a core.
PUBLISH_SECONDS = 1.0
PUBLISH_SHARE = 0.003


@dataclass(eq=False)
class Publisher:
    """Publishes the report."""

    settings: Callable[[], Settings]
    follower: Follower
    programs: ProgramTable
    last_errors: LastErrors
    problems: Problems
    # supervisord's pid: the watcher is its child, and dies with it.
    supervisord: int = field(default_factory=os.getppid)
    # The segments that were open when the last report was made, by camera.
    segments: dict[str, Segment] = field(default_factory=dict, init=False)

    _open_segments: OpenSegments = field(default_factory=OpenSegments, init=False)
    _status_file: StatusFile = field(default_factory=StatusFile, init=False)

    async def run(self) -> None:
        """Publish a report again and again, every second if that is cheap and every TICK_SECONDS at least."""
        while True:
            begun = time.thread_time()
            try:
                self.publish()
                self.problems.clear("status")
            except MirrorError as error:
                self.problems.note("status", str(error))
            cost = time.thread_time() - begun
            await asyncio.sleep(min(max(cost / PUBLISH_SHARE, PUBLISH_SECONDS), TICK_SECONDS))

    def publish(self) -> None:
        """Find the open segments, and publish a report. Raises StateError."""
        active = self.programs.active(self.follower.mirrored)
        up = {camera_id: process.pid for camera_id, process in active.items() if process.is_up}
        unseen = self._look(up if self.programs.is_listed else None)
        self.problems.note("open files", unseen)
        self._read_logs(active)
        facts = Facts(
            desired=self.follower.desired,
            programs=active,
            segments=self.segments,
            ffmpegs=self._open_segments.ffmpegs,
            errors=self.last_errors.found,
            programs_known=self.programs.is_listed,
            files_known=not unseen,
        )
        # Each unusable camera has its reason in its own row of the report.
        problems = self.problems.texts(without=["cameras"])
        if not problems and not (facts.programs_known and facts.files_known and self.follower.has_read):
            problems = ["the watcher has only begun to look"]
        report = make_report(facts, problems)
        self._status_file.publish(report, self.settings())

    def _look(self, recorders: Mapping[str, int] | None) -> str | None:
        """Find the open segments. Return why some can't be seen, or None."""
        settings = self.settings()
        try:
            mark = ours(self.supervisord, settings.specs_dir, settings.user)
            self.segments = self._open_segments.look(mark, recorders)
        except MirrorError as error:
            return str(error)  # the segments of before are still the best that is known
        if refused := self._open_segments.refused:
            return f"the open files of {refused} recorders can't be seen: the watcher must run as their user"
        return None

    def _read_logs(self, camera_ids: Iterable[str]) -> None:
        try:
            self.last_errors.read(camera_ids, self.settings())
            self.problems.clear("logs")
        except OSError as error:
            self.problems.note("logs", f"cannot read the programs' logs: {error}")
