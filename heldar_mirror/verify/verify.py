"""A whole `verify`: taking stock, planning, looking, and the report."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from heldar_mirror.errors import UnreadableError, VolumeError
from heldar_mirror.manifests.check import IsSigned
from heldar_mirror.settings import Settings
from heldar_mirror.sides.opening import mirror_sides
from heldar_mirror.sides.recorded import Files
from heldar_mirror.verify.beside import Beside
from heldar_mirror.verify.budget import Budget, Purse
from heldar_mirror.verify.by_manifests import ByManifests
from heldar_mirror.verify.by_names import by_names
from heldar_mirror.verify.findings import Finding, decode
from heldar_mirror.verify.memory import Memory, Scope, Standing, Stocked, opened_memory
from heldar_mirror.verify.outcomes import Level
from heldar_mirror.verify.report import CameraReport, Report, Spent
from heldar_mirror.verify.run import Done, End, Looker, Workers, order
from heldar_mirror.verify.stock import Doubt, absent, asked

# What is done, and which share of it, from 0 to 1.
Progress = Callable[[str, float], None]

NONE = Standing()


class Request(NamedTuple):
    """What is asked for. No cameras means all.

    `interrupted` ends it early. `is_signed` says whether a manifest's signature fits; without it none is checked.
    """

    scope: Scope
    camera_ids: Collection[str]
    budget: Budget
    jobs: int
    interrupted: threading.Event
    is_signed: IsSigned | None = None


class Proof(Protocol):
    """A way to prove segments of the mirror.

    `flaws` and `found` are, by camera, what is wrong with its manifests, and what of segments without a look at them.
    """

    flaws: dict[str, list[str]]
    found: dict[str, list[Finding]]

    def take_stock(self, camera_id: str, mirror: Files) -> tuple[Iterable[Stocked], Iterable[Doubt]]:
        """Return which segments of a camera may be looked at, and which of them must be again.

        Raises UnreadableError if nothing can be said of this camera, and another MirrorError if of none.
        """

    def looker(self) -> AbstractContextManager[Looker]:
        """Return what looks at segments. Each thread has its own."""

    def hint(self, unmatched: Sequence[tuple[str, int]]) -> str | None:
        """Return why nothing was found of some segments of the mirror, by cameras, if that can be said.

        Raises VolumeError.
        """


class Verify:
    """One run of `verify`."""

    def __init__(self, settings: Settings, request: Request, progress: Progress) -> None:
        """Raises StateError, and VolumeError if the mirror root was never used."""
        self._settings = settings
        self._request = request
        self._progress = progress
        self._purse = Purse(request.budget)
        self._make_mirror = mirror_sides(settings, idle=True)
        self._problems: list[str] = []

    def run(self) -> Report:
        """Look at what is due, and report how far the mirror is proven.

        Raises LookupError for a camera of which the mirror has nothing, and StateError.
        """
        scope = self._request.scope
        if scope.level is Level.NAMES:
            return self._by_names()
        camera_ids, done = list(self._request.camera_ids), Done()
        with opened_memory(self._settings) as memory, self._proof() as proof:
            try:
                camera_ids, ready = self._take_stock(memory, proof)
                done = self._look(memory, proof, ready)
                if done.unmatched and done.end in (End.DONE, End.BUDGET):
                    self._problems += filter(None, [proof.hint(_comparable_first(done.unmatched, memory, scope))])
            except VolumeError as error:
                self._problems.append(str(error))
                done.end = End.LOST
            cameras = _cameras(memory, scope, camera_ids or memory.camera_ids(), done)
            for camera in cameras:
                camera.flaws = proof.flaws.get(camera.camera_id, [])
                for finding in proof.found.get(camera.camera_id, []):
                    if scope.since <= finding.begun <= scope.until:
                        camera.findings.setdefault(finding.begun, []).append(finding)
        spent = Spent(self._purse.elapsed(), self._purse.read, self._purse.looked)
        problems = list(dict.fromkeys([*self._problems, *done.problems]))
        return Report(scope.level, done.end, spent, cameras, problems)

    def _by_names(self) -> Report:
        """Look at the names and times of all that is asked for."""
        cameras: list[CameraReport] = []
        scope, end = self._request.scope, End.DONE
        beside = Beside(self._settings, self._make_mirror, self._problems, hashed=False)
        with self._make_mirror() as mirror, beside:
            try:
                for camera_id in self._cameras(mirror.cameras()):
                    try:
                        cameras.append(by_names(camera_id, scope, beside, mirror))
                    except UnreadableError as error:
                        self._problems.append(str(error))
            except (VolumeError, UnreadableError) as error:
                self._problems.append(str(error))
                end = End.LOST
        if end is End.DONE and self._request.interrupted.is_set():
            end = End.INTERRUPTED
        looked = sum(camera.standing.bytes for camera in cameras)
        problems = list(dict.fromkeys(self._problems))
        return Report(scope.level, end, Spent(self._purse.elapsed(), 0, looked), cameras, problems)

    def _cameras(self, present: Collection[str]) -> Iterator[str]:
        """Yield the cameras that are asked for, until it is interrupted. Raises LookupError for one that is missing."""
        camera_ids = asked(self._request.camera_ids, present)
        if not self._request.camera_ids:
            self._problems += absent(self._settings, present)
        for number, camera_id in enumerate(camera_ids):
            if self._request.interrupted.is_set():
                break
            self._progress(f"listing {camera_id}", number / len(camera_ids))
            yield camera_id

    def _proof(self) -> AbstractContextManager[Proof]:
        level = self._request.scope.level
        if level is Level.FILES:
            return ByManifests(self._settings, self._make_mirror, self._problems, self._request.is_signed)
        return Beside(self._settings, self._make_mirror, self._problems, hashed=level is Level.PACKETS)

    def _take_stock(self, memory: Memory, proof: Proof) -> tuple[list[str], list[str]]:
        """Bring the memory in step with what lies there. Return the cameras that were asked for, and those of them that
        can be looked at. Raises VolumeError."""
        ready, level = [], self._request.scope.level
        with self._make_mirror() as mirror:
            try:
                present = mirror.cameras()
            except UnreadableError as error:
                raise VolumeError(str(error)) from None
            camera_ids = asked(self._request.camera_ids, present)
            for camera_id in set(memory.camera_ids()).difference(present):
                memory.forget(camera_id)
            for camera_id in self._cameras(present):
                try:
                    segments, doubtful = proof.take_stock(camera_id, mirror.files(camera_id))
                except UnreadableError as error:
                    self._problems.append(str(error))
                    continue
                memory.take_stock(level, camera_id, segments)
                for doubt in doubtful:
                    memory.doubt(level, camera_id, *doubt)
                ready.append(camera_id)
        return camera_ids, ready

    def _look(self, memory: Memory, proof: Proof, camera_ids: Collection[str]) -> Done:
        scope = self._request.scope
        batches = memory.batches(scope, camera_ids)
        standings = memory.standings(scope)
        whole = sum(standings[camera_id].bytes for camera_id in camera_ids if camera_id in standings)
        self._purse.plan(whole, due=sum(batch.bytes for batch in batches))
        interrupted = self._request.interrupted

        def progress(camera_id: str) -> None:
            self._progress(camera_id, self._purse.done())

        return Workers(memory, scope, self._purse, proof.looker, interrupted, progress).run(
            order(batches), self._request.jobs
        )


def _comparable_first(unmatched: Mapping[str, int], memory: Memory, scope: Scope) -> list[tuple[str, int]]:
    """Return segments that matched nothing, those first whose cameras have others that were proven."""
    standings = memory.standings(scope)
    return sorted(unmatched.items(), key=lambda each: -standings.get(each[0], NONE).proven)


def _cameras(memory: Memory, scope: Scope, camera_ids: Iterable[str], done: Done) -> list[CameraReport]:
    """Return the reports of cameras. Raises sqlite3.DatabaseError if the memory is damaged."""
    standings = memory.standings(scope)
    reports = {
        camera_id: CameraReport(camera_id, standings.get(camera_id, NONE), done.counts.get(camera_id, Counter()))
        for camera_id in camera_ids
    }
    for camera_id, begun, text in memory.findings(scope):
        try:
            if camera_id in reports:
                reports[camera_id].findings[begun] = decode(text)
        except ValueError as error:
            raise sqlite3.DatabaseError(str(error)) from None
    return list(reports.values())
