"""Refusing files and directories that another user could change, if root or a joined supervisord trusts them."""

import os

from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.trusted import weak_spot, weak_spot_of_file


def check_hands(settings: Settings) -> None:
    """Raise StateError if another user could change what a joined supervisord reads, or what root writes."""
    if settings.joined:
        try:
            file = settings.programs_file
            weak = weak_spot_of_file(file)
            if not weak and (file.is_symlink() or (file.exists() and not file.is_file())):
                weak = f"{file} is no plain file: remove it"
        except OSError as error:
            weak = str(error)
        if weak:
            raise StateError(
                f"HELDAR_MIRROR_PROGRAMS_FILE={file} can't be trusted, and supervisord runs what stands there: {weak}, "
                "or set another file"
            )
    if os.geteuid() == 0 and (settings.joined or not settings.user):
        for variable, directory in (
            ("HELDAR_MIRROR_STATE_DIR", settings.state_dir),
            ("HELDAR_MIRROR_SPECS_DIR", settings.specs_dir),
            ("HELDAR_MIRROR_LOG_DIR", settings.log_dir),
        ):
            # What lies in the state directory is checked with it.
            if settings.state_dir in directory.parents:
                continue
            for_logs = variable == "HELDAR_MIRROR_LOG_DIR"
            if weak := weak_spot(directory.parent, holds_only_ours=True, for_logs=for_logs):
                raise StateError(
                    f"{variable}={directory} can't be trusted, and root writes there: {weak}, "
                    f"or set {variable} to another directory"
                )
