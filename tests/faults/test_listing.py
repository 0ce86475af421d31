"""Segments are heard of and listed on file systems of every kind."""

from pathlib import Path

import pytest
from support.file_systems import FILE_SYSTEMS
from support.listing import Listed
from support.mirror import Mirror
from support.users import as_root

from heldar_mirror.footage.names import segment_name
from heldar_mirror.manifests import lookout

pytestmark = [as_root, pytest.mark.slow]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_a_segment_is_listed_when_it_is_closed(mirror: Mirror, kind: str) -> None:
    """It is known to be open until then, though it was renamed, and its end is heard of by its new name."""
    now = int(Path("/proc/self").stat().st_mtime) // 60 * 60 - 3600
    with FILE_SYSTEMS[kind](mirror):
        listed = Listed(mirror.home)
        try:
            listed.put(now)
            listed.run()
            for begun in (now + 60, now + 120):
                before = listed.listed()
                with listed.recording(begun):
                    listed.run(lookout.ASK_SECONDS)
                    assert listed.listed() == before
                listed.run()
                assert listed.listed() == [*before, segment_name(begun)]
            assert listed.published == [[]]
        finally:
            listed.lister.lookout.closings.close()
