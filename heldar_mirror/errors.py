"""The errors that a person sees, each with its exit code. cli/main.py reports them, once."""


class MirrorError(Exception):
    """An error for a person: what, where, what was expected, the next step. It never holds a secret."""

    exit_code = 1


class SettingsError(MirrorError):
    """A setting that can't be used, or can't be read."""

    exit_code = 3


class DatabaseError(MirrorError):
    """The database could not be read. That doesn't mean that there are no cameras: every mirror goes on."""

    exit_code = 4


class SupervisordError(MirrorError):
    """supervisord does not answer, or refuses."""

    exit_code = 5


class VolumeError(MirrorError):
    """The mirror root is not the volume that it should be."""

    exit_code = 6


class HungError(VolumeError):
    """A volume does not answer."""


class StateError(MirrorError):
    """The state directory can't be read or written, or another process holds its lock."""

    exit_code = 7
