"""The child process that keeps manifests for the watcher: how the watcher keeps it, and what it does."""

import select
import signal

from heldar_mirror.children import AT_LOW_PRIORITY, TERM_WITH_US
from heldar_mirror.keeping.keeper import OUR_COMMAND, Keeper
from heldar_mirror.keeping.protocol import LaterLines, publish
from heldar_mirror.manifests.lister import Lister
from heldar_mirror.manifests.settings import ManifestSettings
from heldar_mirror.settings import Settings

# After an event so long is waited for further ones, since each turn has the volume proven.
GATHER_SECONDS = 1.0


# The child's end.


def run_child(settings: ManifestSettings) -> None:
    """List segments until standard input ends. Raises BrokenPipeError if nobody reads standard output."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # as `has_writer` expects
    lister, lines = Lister(settings, publish), LaterLines(0, lambda _: None)
    while True:
        rest = lister.turn()
        if rest is None:
            events = lister.lookout.closings.fd
            heard = [0] if events is None else [0, events]
            select.select(heard, [], [], lister.lookout.seconds_to_tick())
            rest = GATHER_SECONDS
        if lines.wait(rest):
            return


# The watcher's end.


class ManifestsProcess(Keeper):
    """Keeps a child running that keeps manifests, unless they are switched off."""

    name = "keeping manifests"
    command = (*TERM_WITH_US, *AT_LOW_PRIORITY, *OUR_COMMAND, "keep-manifests")

    @staticmethod
    def settings_of(settings: Settings) -> ManifestSettings | None:
        """Return the settings that the child gets."""
        return ManifestSettings.of(settings) if settings.manifests else None
