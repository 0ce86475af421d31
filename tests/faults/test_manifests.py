"""Manifests on file systems of every kind: some have no modes, no links, or a rename of their own."""

import subprocess

import pytest
from support.file_systems import FILE_SYSTEMS
from support.manifests import DAY, NOON, made_root
from support.mirror import Mirror
from support.users import as_root

from heldar_mirror.manifests.check import check_chain
from heldar_mirror.manifests.form import day_of, sha256

pytestmark = [as_root, pytest.mark.slow]


@pytest.mark.parametrize("case", FILE_SYSTEMS)
def test_manifests_are_kept_on(mirror: Mirror, case: str) -> None:
    """Listing, sealing, signing, checking and expiring do the same everywhere, and sha256sum reads what comes of it."""
    with FILE_SYSTEMS[case](mirror), made_root(mirror.root) as root:
        for day in range(4):
            at = NOON + day * DAY
            with root.store() as store:
                store.append("gate", root.put(at, at + 60), at)
                store.seal("gate", at, sha256)
        names = [f"{number:06}_{day_of(NOON + (number - 1) * DAY)}.SHA256SUMS" for number in (1, 2, 3)]
        assert root.names() == sorted([f"{day_of(NOON + 3 * DAY)}.open", *names, *(f"{name}.sig" for name in names)])
        chain = check_chain("gate", root.read(), 0, lambda content, found: found == sha256(content))
        assert (chain.findings, chain.unreadable, len(chain.listed)) == ([], [], 8)
        paths = [f".manifests/gate/{name}" for name in names]
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", *paths], cwd=mirror.root, check=True)
        with root.store() as store:
            assert store.expire("gate", NOON + 3 * DAY, NOON + 3 * DAY, is_gone=False) == names[:2]
            assert store.expire("gate", NOON + 3 * DAY, NOON + 3 * DAY, is_gone=True) == names[2:]
        assert root.names() == [f"{day_of(NOON + 3 * DAY)}.open"]
