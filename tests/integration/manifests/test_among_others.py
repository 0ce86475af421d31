"""The manifests lie in the mirror root: they disturb nothing there, and outlive what they list."""

import json
import time

from support.made_footage import FLOOR, HOUR, camera_directory, make_segment, run_prune, snapshot
from support.manifests import made_root
from support.mirror import Mirror

from heldar_mirror.manifests.reading import listed
from heldar_mirror.volume.listing import camera_directories

NOW = int(time.time())


def test_a_root_with_manifests_is_adopted_recorded_to_and_pruned_as_ever(mirror: Mirror) -> None:
    """No command takes their directory for a camera's, deletes anything in it or complains about it."""
    mirror.env |= FLOOR | {"HELDAR_MIRROR_MANIFESTS": "false"}
    mirror.root.mkdir()
    times = [NOW - 9 * HOUR, NOW - 8 * HOUR]
    with made_root(mirror.root) as root:
        with root.store() as store:
            for camera_id in ("gate", "gone"):
                store.append(camera_id, [(begun, bytes(32)) for begun in times], NOW)
        before = snapshot(mirror.root / ".manifests")
        mirror.run("adopt-volume")
        mirror.database.add("gate", retention_hours=1)
        for camera_id in ("gate", "gone"):
            for begun in times:
                make_segment(camera_directory(mirror, camera_id), begun)
        with mirror.up(watched=False):
            status = mirror.json("status")
            assert [camera["camera_id"] for camera in status["cameras"]] == ["gate"]
            assert not [problem for problem in status["problems"] if "manifest" in json.dumps(problem)]
        report = run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
        assert report["directories"] == ["gone"]
        assert camera_directories(root.fd) == ["gate"]
        assert len(mirror.segments("gate")) == 1  # the newest is kept
        assert snapshot(mirror.root / ".manifests") == before
        assert list(listed(root.fd, "gone", 0)) == times
