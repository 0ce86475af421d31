"""Which programs of a joined supervisord are ours, and which only have a name that one of ours would have."""

from collections.abc import Collection, Mapping

from heldar_mirror.proc.recorders import recorders_of
from heldar_mirror.programs.launch_spec import spec_path
from heldar_mirror.programs.stanzas import command_line, program_name
from heldar_mirror.settings import Settings
from heldar_mirror.supervisord.gateway import Gateway


def taken_names(
    camera_ids: Collection[str], saved: Collection[str], settings: Settings, gateway: Gateway, *, reload: bool
) -> dict[str, str]:
    """Return the cameras whose program's name belongs to a program of somebody else's, with the reason for people.

    `camera_ids` are those without a stanza in our programs file, `saved` those with a launch spec. With `reload`,
    supervisord reads its files first, so that a program that was not started yet counts too. Raises SupervisordError.

    A stanza is ours if it starts a recorder with our launch spec: an older programs file may be included beside the
    present one. A program without a stanza is ours if its recorder or its launch spec is, so a programs file that was
    deleted is written anew.
    """
    if not settings.joined or not camera_ids:
        return {}
    if reload:
        gateway.reload()
    commands = gateway.commands()
    active = gateway.processes().keys()
    recorded = recorders_of(gateway.pid(), settings.specs_dir, settings.user).keys() | set(saved)

    def is_taken(camera_id: str, name: str) -> bool:
        if name in commands:
            return not all(_runs(command, spec_path(camera_id, settings)) for command in commands[name])
        return name in active and camera_id not in recorded

    names = {camera_id: program_name(camera_id, settings) for camera_id in camera_ids}
    return {camera_id: _reason(name) for camera_id, name in names.items() if is_taken(camera_id, name)}


def shadowed_names(names: Mapping[str, str], settings: Settings, gateway: Gateway) -> set[str]:
    """Return which of our names have somebody else's command in supervisord's files as it read them last. `names` gives
    the camera of each. Raises SupervisordError.

    supervisord merges two stanzas of one name: the later file's command counts.
    """
    commands = gateway.commands()
    return {
        name
        for name, camera_id in names.items()
        if not all(_runs(command, spec_path(camera_id, settings)) for command in commands.get(name, ()))
    }


def _runs(command: str, spec: str) -> bool:
    """Return whether a command ends with a launch spec and a generation, as those in our stanzas do."""
    return command.rpartition(" ")[0].endswith(f" {command_line(spec)}")


def _reason(name: str) -> str:
    return (
        f"supervisord has a program {name} that is not this mirror's, and it is left alone. Rename it, or remove it if "
        "nobody needs it, or set HELDAR_MIRROR_PREFIX; then: heldar-mirror reconcile"
    )
