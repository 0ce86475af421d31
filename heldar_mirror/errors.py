"""The errors that a person sees, each with its exit code. Only cli/main.py prints them."""

from heldar_mirror.recorder.log import printable

# The exit codes of a command that Ctrl-C has ended, and of one whose output nobody reads any more, as a shell has them.
INTERRUPTED, UNREAD_OUTPUT = 130, 141

# The exit code of a command whose output can't be written.
LOST_OUTPUT = 10


class MirrorError(Exception):
    """An error for a person. It says what failed, where, what was expected and the next step, and holds no secret.

    Each argument is a line. Words of others in it, such as SQLite's, can't begin a line of their own.
    """

    exit_code = 1

    def __str__(self) -> str:
        return "\n".join(printable(str(line)) for line in self.args)


class SettingsError(MirrorError):
    """A setting that can't be used, or can't be read."""

    exit_code = 3


class DatabaseError(MirrorError):
    """The database could not be read. The cameras are unknown then, not absent, so every mirror goes on."""

    exit_code = 4


class SupervisordError(MirrorError):
    """supervisord does not answer, or refuses a call."""

    exit_code = 5


class NoSupervisordError(SupervisordError):
    """No supervisord is there to answer."""


class VolumeError(MirrorError):
    """The mirror root is not on the volume that it should be on, or can't be used."""

    exit_code = 6


class HungError(VolumeError):
    """A volume does not answer in time."""


class StateError(MirrorError):
    """The state directory can't be read or written, or another process holds its lock."""

    exit_code = 7


class UnreadableError(MirrorError):
    """A file or directory of recordings can't be read. What is in it is unknown then, not absent."""

    exit_code = 8


class GoneError(UnreadableError):
    """A recording is not there any more, such as one that was pruned meanwhile."""


class RestoreError(MirrorError):
    """Nothing can be written into the primary's directory."""

    exit_code = 9


class NoRoomError(RestoreError):
    """The primary's disk is full, or a quota is reached."""


class DirectoryError(MirrorError):
    """A camera's directory of the primary can't be written to. Others may be all right."""

    exit_code = 9


class ExistsError(MirrorError):
    """The primary has a file of the name already, or Heldar is about to fetch one."""

    exit_code = 9
