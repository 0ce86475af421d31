"""The configuration of a supervisord of our own."""

from heldar_mirror.programs.stanzas import python_command, template
from heldar_mirror.settings import Settings


def render_supervisord(settings: Settings, user: str, minfds: int, directory: str) -> str:
    """Return the configuration of a supervisord of our own that runs as `user` and can open `minfds` files.

    Relative paths in the settings are relative to `directory`.
    """
    watch = python_command("-I", "-m", "heldar_mirror", "watch", "--directory", directory)
    return template("supervisord.conf.j2").render(settings=settings, user=user, minfds=minfds, watch=watch)
