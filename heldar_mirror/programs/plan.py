"""The plan: what to change so that the saved launch specs become what the table asks for. All of it is pure."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from heldar_mirror.heldar.cameras import Unusable
from heldar_mirror.programs.desired import Desired
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.recorder.masking import mask


@dataclass(frozen=True)
class Saved:
    """A launch spec that was saved, with its generation. `spec` is None if the file is damaged."""

    spec: LaunchSpec | None
    generation: int


@dataclass(frozen=True)
class Change:
    """A camera's launch spec before (`existing`) and after (`new`) a change; None if there is none."""

    camera_id: str
    existing: LaunchSpec | None
    new: LaunchSpec | None
    generation: int

    def lines(self) -> Iterator[str]:
        """Yield the change as lines of a diff for people, without secrets."""
        if self.existing is None or self.new is None:
            spec = self.new or self.existing
            yield f"{spec.masked_url()} → {spec.directory}" if spec else "its launch spec is damaged"
            return
        secrets = self.existing.secrets + self.new.secrets
        before, after = _options(self.existing, secrets), _options(self.new, secrets)
        if before != after:
            yield from (f"{line[0]} {line[2:]}" for line in difflib.ndiff(before, after) if line[0] in "+-")
        elif self.existing.volume != self.new.volume:
            yield "the volume was adopted anew"
        elif self.existing != self.new:
            yield "credentials"
        else:
            yield "restart, as asked for"


def _options(spec: LaunchSpec, secrets: tuple[str, ...]) -> list[str]:
    """Return the lines of a launch spec's arguments without secrets; an option and its value share a line."""
    text = mask("\n".join(spec.args), secrets)
    return re.sub(r"^(-.*)\n(?!-)", r"\1 ", text, flags=re.MULTILINE).split("\n")


@dataclass(frozen=True)
class Plan:
    """What to do, by camera.

    `kept` are cameras whose programs stay as they are because no change can be planned for them. `generations` gives
    the generation of each program that the programs file will have.
    """

    added: tuple[Change, ...]
    changed: tuple[Change, ...]
    removed: tuple[Change, ...]
    unchanged: tuple[str, ...]
    unusable: tuple[Unusable, ...]
    kept: frozenset[str]
    generations: Mapping[str, int] = field(repr=False)

    @property
    def written(self) -> tuple[Change, ...]:
        """Return the changes that write a launch spec."""
        return (*self.added, *self.changed, *(change for change in self.removed if change.existing))


def make_plan(
    desired: Desired,
    saved: Mapping[str, Saved],
    now: int,
    forced: Collection[str] = (),
    waiting: Collection[str] = (),
) -> Plan:
    """Return the plan that leads from the `saved` launch specs to the `desired` ones.

    `now` is in Unix seconds. The generation of a changed launch spec is `now`, or the old generation plus one if that
    is greater. Cameras in `forced` get a new generation whether or not they changed. Those in `waiting` are neither
    added nor changed, because the volume can't be used or the state can't be written. What runs for an unusable camera
    goes on: a mirror stops only if its row clearly asks for none, or was deleted.

    The launch spec of a camera to be removed gets a new generation as well. If the camera returns before its removal is
    complete, its stanza has changed, and it is restarted.
    """
    wanted = {camera_id: spec for camera_id, spec in desired.specs.items() if camera_id not in waiting}
    added, changed, unchanged = [], [], []
    generations = {}
    for camera_id, spec in sorted(wanted.items()):
        old = saved.get(camera_id)
        if old is None:
            added.append(Change(camera_id, None, spec, now))
        elif old.spec != spec or camera_id in forced:
            changed.append(Change(camera_id, old.spec, spec, max(old.generation + 1, now)))
        else:
            unchanged.append(camera_id)
            generations[camera_id] = old.generation
    generations |= {change.camera_id: change.generation for change in added + changed}

    kept = saved.keys() & ({bad.camera_id for bad in desired.unusable} | (desired.specs.keys() - wanted.keys()))
    generations |= {camera_id: saved[camera_id].generation for camera_id in kept}
    removed = [
        Change(camera_id, old.spec, None, old.generation + 1)
        for camera_id, old in sorted(saved.items())
        if camera_id not in generations
    ]
    return Plan(
        added=tuple(added),
        changed=tuple(changed),
        removed=tuple(removed),
        unchanged=tuple(unchanged),
        unusable=desired.unusable,
        kept=frozenset(kept),
        generations=generations,
    )
