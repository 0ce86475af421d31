"""Removing segments and camera directories."""

import fcntl
import os
from collections.abc import Collection
from contextlib import suppress

from heldar_mirror.footage.names import segment_name
from heldar_mirror.recorder.leftovers import name_leftovers
from heldar_mirror.recorder.volume import LOCK, TRIAL
from heldar_mirror.volume.listing import camera_directory, is_ours_alone, open_lock


def remove_segments(root: int, camera_id: str, begun: Collection[int]) -> tuple[set[int], dict[str, list[int]]]:
    """Remove segments of a camera, given by when they began (Unix seconds).

    Return those that were removed, and by reason those that could not be. A segment in neither was not there any more.
    """
    removed, left = set[int](), dict[str, list[int]]()
    try:
        with camera_directory(root, camera_id) as fd:
            for each in begun:
                try:
                    os.unlink(segment_name(each), dir_fd=fd)
                    removed.add(each)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    left.setdefault(str(error.strerror), []).append(each)
    except FileNotFoundError:
        pass
    except OSError as error:
        left[str(error.strerror)] = list(begun)
    return removed, left


def remove_camera_directory(root: int, camera_id: str) -> bool:
    """Remove a camera directory that holds nothing but the recorders' lock file, unless a recorder holds that lock.

    Return whether the directory was removed. Raises OSError.
    """
    if not is_ours_alone(root, camera_id):
        return False
    with suppress(BlockingIOError), camera_directory(root, camera_id) as fd:
        with suppress(FileNotFoundError):
            os.unlink(TRIAL, dir_fd=fd)
        if LOCK in os.listdir(fd):
            with open_lock(fd) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A recorder that was killed may have left footage that has no name yet, so no rule has seen it.
                name_leftovers(f"/proc/self/fd/{fd}")
                if os.listdir(fd) != [LOCK]:
                    return False
                os.unlink(LOCK, dir_fd=fd)
        os.rmdir(camera_id, dir_fd=root)
        return True
    return False
