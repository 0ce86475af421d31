"""Checking a camera's manifests, and its segments by them. Pure: what was read is handed in.

What can be found: a manifest that was changed, removed or put in, and a signature that does not fit; a segment that was
changed since it was listed, one that lies there unlisted, and one that is gone, though older ones are still there.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from operator import lt

from heldar_mirror.footage.names import segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.manifests.form import (
    DamagedError,
    Heading,
    Link,
    SealedName,
    Sums,
    day_begins,
    day_of,
    parse_open_name,
    parse_sealed_name,
    sha256,
)
from heldar_mirror.manifests.reading import File, parse


class Flaw(str, Enum):
    """What is the matter with a manifest."""

    DAMAGED = "damaged"
    BROKEN_LINK = "broken link"
    LOST = "lost"
    BAD_SIGNATURE = "bad signature"
    NOT_SIGNED = "not signed"
    LISTED_TWICE = "listed twice"


@dataclass(frozen=True)
class Finding:
    """What is the matter with a manifest, or with a segment that is listed twice, given by its name."""

    flaw: Flaw
    about: str
    text: str


@dataclass(frozen=True)
class Sealed:
    """A sealed manifest as it was found. `signed` is None if it has no signature, or if there is no key to check it."""

    name: SealedName
    digest: bytes
    heading: Heading | None
    damage: str = ""
    signed: bool | None = None


@dataclass
class Chain:
    """A camera's manifests.

    `sealed` are the sealed ones as they follow on each other; None stands for one that can't be read, or that expired
    just now. `listed` are the segments that they list, in order, each with the SHA-256 that was listed last. `late`
    counts those that were listed on a later day than their own. `unreadable` says what can't be read.
    """

    camera_id: str
    sealed: list[Sealed | None] = field(default_factory=list)
    listed: Sums = field(default_factory=Sums)
    late: int = 0
    findings: list[Finding] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def head(self) -> Link | None:
        """Return the newest sealed manifest. Kept on a different machine, it proves all manifests before it."""
        newest = self.sealed[-1] if self.sealed else None
        return Link(str(newest.name), newest.digest) if newest else None

    def digest(self, begun: int) -> bytes | None:
        """Return the SHA-256 that is listed of the segment that began at a time, or None if none is."""
        index = bisect_left(self.listed.begun, begun)
        return self.listed.digest(index) if index < len(self.listed) and self.listed.begun[index] == begun else None


IsSigned = Callable[[bytes, bytes], bool]


def check_chain(camera_id: str, files: Iterable[File], since: float, is_signed: IsSigned | None) -> Chain:
    """Check a camera's manifests: each as a whole, that each names the one before, and the signatures.

    `files` come as `read_all_of` yields them. What they list is kept from `since` on (Unix seconds, not before 1970).
    `is_signed` says of a content and a signature whether they belong together; without it signatures are not checked.
    """
    chain, listed, first_day = Chain(camera_id), Sums(), day_of(since)
    for file in files:
        name = parse_sealed_name(file.name)
        if file.error:
            chain.unreadable.append(f"{file.name}: {file.error}")
        if file.error or file.is_gone:
            if name:
                chain.sealed.append(None)
            continue
        heading, sums, damage = None, Sums(), ""
        try:
            heading, sums = parse(camera_id, file.name, file.content, first_day)
        except DamagedError as error:
            damage = str(error)
        if name:
            signed = is_signed(file.content, file.signature) if is_signed and file.signature is not None else None
            chain.sealed.append(Sealed(name, sha256(file.content), heading, damage, signed))
        chain.late += _keep(listed, sums, since, name.day if name else parse_open_name(file.name))
    chain.listed = _in_order(camera_id, listed, chain.findings)
    chain.findings += _links(chain.sealed)
    if is_signed:
        chain.findings += _signatures(chain.sealed)
    return chain


def _keep(listed: Sums, sums: Sums, since: float, day: str | None) -> int:
    """Add to `listed` what a manifest of a day lists, from `since` on. Return how many are of an earlier day."""
    late, begins = 0, day_begins(day) if day else 0
    for begun, digest in sums:
        late += begun < begins
        if begun >= since:
            listed.add(begun, digest)
    return late


def _in_order(camera_id: str, listed: Sums, findings: list[Finding]) -> Sums:
    """Return segments in order, each once: with what was listed last. What was listed differently is a finding."""
    if all(map(lt, listed.begun, listed.begun[1:])):
        return listed
    ordered = Sums()
    for index in sorted(range(len(listed)), key=listed.begun.__getitem__):
        begun, digest = listed.begun[index], listed.digest(index)
        if not ordered or ordered.begun[-1] != begun:
            ordered.add(begun, digest)
        elif ordered.digest(-1) != digest:
            ordered.replace_last(digest)
            name = f"{camera_id}/{segment_name(begun)}"
            findings.append(Finding(Flaw.LISTED_TWICE, name, "it is listed with two hashes"))
    return ordered


def _links(sealed: Sequence[Sealed | None]) -> Iterator[Finding]:
    """Yield what is the matter with manifests, and with what each says of the one before."""
    for before, one in pairwise([None, *sealed]):
        if one is None:
            continue
        if one.heading is None:
            yield Finding(Flaw.DAMAGED, str(one.name), f"it was changed since it was sealed: {one.damage}")
        if before and one.name.number > before.name.number + 1:
            first, last = before.name.number + 1, one.name.number - 1
            lost = f"numbers {first} to {last} are" if first < last else f"number {first} is"
            yield Finding(Flaw.LOST, str(one.name), f"{lost} not there")
        elif before and one.heading and one.heading.previous != Link(str(before.name), before.digest):
            yield Finding(
                Flaw.BROKEN_LINK, str(one.name), f"it names another hash for {before.name}: one of the two was changed"
            )
        elif one.heading and (one.heading.previous is None) != (one.name.number == 1):
            yield Finding(Flaw.BROKEN_LINK, str(one.name), "only the first manifest has none before it")


def _signatures(sealed: Sequence[Sealed | None]) -> Iterator[Finding]:
    """Yield what is the matter with signatures. One that fits is enough for all manifests before it."""
    unsigned = ""
    for one in sealed:
        if one and one.signed is False:
            yield Finding(Flaw.BAD_SIGNATURE, str(one.name), "its signature is not of this content, or not by this key")
        if one:
            unsigned = "" if one.signed else unsigned or str(one.name)
    if unsigned:
        yield Finding(Flaw.NOT_SIGNED, unsigned, "no manifest from this one on has a signature that fits")


def is_empty(chain: Chain) -> bool:
    """Return whether a camera has no manifest at all, not even one that can't be read."""
    return not (chain.sealed or chain.listed or chain.unreadable)


def unlisted(chain: Chain, present: Sequence[int], until: float) -> "array[int]":
    """Return which segments should be listed and are not: those that began before `until`.

    `present` are the segments that are there, in order (Unix seconds), as they were listed before the manifests were
    read. What is older than a camera's first manifest need not be listed, but what is older than manifests that are
    there no longer.
    """
    first = next((one for one in chain.sealed if one), None)
    begins = chain.listed.begun[0] if chain.listed else math.inf
    since = -math.inf if first and first.name.number > 1 else begins
    known = set(chain.listed.begun)
    return array("q", (begun for begun in present if since <= begun < until and begun not in known))


def missing(chain: Chain, present: Sequence[int], until: float, locks: Spans) -> "array[int]":
    """Return which listed segments are gone that the pruner would not have deleted yet, since it deletes the oldest.

    They are newer than one that is `present` and not locked, and began before `until`. `locks` are the locked times.
    """
    times, there = chain.listed.begun, set(present)

    def is_locked(begun: int) -> bool:
        """Whether a segment is locked, which lasted until the next one began, be that still there or not."""
        following = bisect_right(times, begun)
        return locks.overlap(begun, times[following] if following < len(times) else math.inf)

    oldest = next((begun for begun in present if not is_locked(begun)), math.inf)
    return array("q", (begun for begun in times if oldest < begun < until and begun not in there))
