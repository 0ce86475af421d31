"""The desired state: a launch spec for each camera that wants a mirror, computed from all rows of the table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from heldar_mirror.heldar import camera_url, sealed
from heldar_mirror.heldar.cameras import CameraError, Row, Unusable, parse_camera, should_mirror, shown_id
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.programs.record_command import build_record_command
from heldar_mirror.settings import Settings


@dataclass(frozen=True)
class Desired:
    """What the table asks for: a launch spec for each camera that wants a mirror.

    `unwanted` are the cameras whose rows clearly ask for no mirror.
    """

    specs: Mapping[str, LaunchSpec]
    unwanted: frozenset[str] = frozenset()
    unusable: tuple[Unusable, ...] = ()

    def on_volume(self, volume: str) -> "Desired":
        """Return the same desired state for a volume of this id."""
        return replace(self, specs={camera_id: replace(spec, volume=volume) for camera_id, spec in self.specs.items()})

    def without(self, refused: Mapping[str, str]) -> "Desired":
        """Return the same desired state, in which the cameras in `refused` are unusable for the reasons given."""
        unusable = (Unusable(camera_id, refused[camera_id]) for camera_id in sorted(refused) if camera_id in self.specs)
        specs = {camera_id: spec for camera_id, spec in self.specs.items() if camera_id not in refused}
        return replace(self, specs=specs, unusable=(*self.unusable, *unusable))


def desired_state(rows: Iterable[Row], settings: Settings, volume: str = "") -> Desired:
    """Return what should run, given all rows of the table and the id of the volume.

    A row that can't be used becomes an `Unusable`, so the other cameras keep their mirrors.
    """
    specs, unwanted, unusable = {}, set(), []
    for row in rows:
        try:
            wanted = settings.recorder_enabled and should_mirror(row)
            if not wanted:
                unwanted.add(shown_id(row))
                continue
            camera = parse_camera(row, lambda value: sealed.unseal(value, settings.secret_key))
            url = camera_url.record_url(camera)
            secrets = camera_url.secrets(camera, url)
        except CameraError as error:
            unusable.append(Unusable(shown_id(row), str(error)))
            continue
        root = str(settings.mirror_root)
        specs[camera.id] = LaunchSpec(
            camera_id=camera.id,
            root=root,
            volume=volume,
            url=url,
            secrets=secrets,
            args=tuple(build_record_command(settings.ffmpeg, camera, url)),
        )
    return Desired(specs, frozenset(unwanted), tuple(unusable))
