"""Starting the programs that failed for good, for `heldar-mirror reconcile`."""

from dataclasses import dataclass

from heldar_mirror.errors import SupervisordError
from heldar_mirror.proc.recorders import recorders_of
from heldar_mirror.settings import Settings
from heldar_mirror.state.locks import locked
from heldar_mirror.state.specs import read_programs
from heldar_mirror.supervisord.gateway import FAILED, Gateway


@dataclass(frozen=True)
class Revival:
    """The cameras whose programs were down: `revived` had failed for good, `stopped` were stopped by a person."""

    revived: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


def revive(settings: Settings) -> Revival:
    """Start the programs that failed for good. Raises SupervisordError or StateError."""
    with locked(settings):
        cameras = {name: name.removeprefix(settings.prefix) for name in sorted(read_programs(settings))}
        gateway = Gateway(settings)
        running = recorders_of(gateway.pid(), settings.specs_dir, settings.user)
        processes = gateway.processes_of([name for name, camera_id in cameras.items() if camera_id not in running])
        if missing := [name for name, process in processes.items() if process is None]:
            raise SupervisordError(
                f"supervisord at {settings.supervisor_url} does not know {len(missing)} of the programs, such as "
                f"{min(missing)}: does its [include] name {settings.programs_file}?"
            )
        states = {name: process.state for name, process in processes.items() if process}
        failed = [name for name, state_ in states.items() if state_ in FAILED]
        gateway.start(failed)
    return Revival(
        revived=tuple(cameras[name] for name in failed),
        stopped=tuple(cameras[name] for name, state_ in states.items() if state_ == "STOPPED"),
    )
