"""Restored files are proven, and followed until a process that indexes as Heldar's kernel does has indexed them."""

from collections.abc import Iterator

import pytest
from support.heldar_stand_in import HeldarStandIn
from support.heldar_stand_in import Times as HeldarsTimes
from support.made_footage import adopt
from support.mirror import Mirror
from support.restoring import CAMERA, Restore, recorded_by_mirror
from support.two_sides import primary_root

from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.following import Heldar
from heldar_mirror.restore.result import End, Indexing, Outcome

# Heldar's times, shortened.
RUNS = HeldarsTimes(scan=0.2, quiet=1.0)


@pytest.fixture
def mirror(mirror: Mirror) -> Mirror:
    """A mirror that has a volume, and a camera without any recording."""
    mirror.database.add(CAMERA)
    adopt(mirror)
    return mirror


@pytest.fixture
def heldar(mirror: Mirror) -> Iterator[HeldarStandIn]:
    """A process that indexes, not started yet."""
    with HeldarStandIn(mirror.database.path, primary_root(mirror)) as made:
        yield made


def test_what_is_restored_is_followed_until_it_is_indexed(mirror: Mirror, heldar: HeldarStandIn) -> None:
    """The newest file comes first. It is the last of its directory, so Heldar waits before it indexes that."""
    files = recorded_by_mirror(mirror, 3)
    heldar.start(RUNS)
    restore = Restore(mirror)
    result = restore.run(files)
    assert [each.new for each in result.files] == files[::-1]
    assert {(each.outcome, each.indexing) for each in result.files} == {(Outcome.RESTORED, Indexing.INDEXED)}
    assert (result.end, result.exit_code, result.heldar, result.start_within) == (End.DONE, 0, Heldar.RUNNING, None)
    assert result.sentence() == "30s of gate can be played in Heldar again."
    assert set(heldar.indexed()) == {f"{CAMERA}/{segment_name(new.name)}" for new in files}
    for new in files:
        restored = primary_root(mirror) / CAMERA / segment_name(new.name)
        assert restored.read_bytes() == (mirror.root / CAMERA / segment_name(new.name)).read_bytes()
    shares = [share for _, share in restore.told]
    assert shares[-1] == 1
