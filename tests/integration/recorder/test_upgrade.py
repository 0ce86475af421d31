"""Recorders go on while their package is upgraded, and load the new version's modules when they first need them."""

import shutil
from pathlib import Path

from support.bench import LINE, Bench

from heldar_mirror.footage.names import segment_begun
from heldar_mirror.proc.recorders import RECORDER

RECORDS = 'segment(box(b"ftyp") + box(b"moof")); until_told()'


def install(bench: Bench) -> Path:
    """Give the bench a package of its own, and return its directory."""
    package = bench.home / "recorder"
    shutil.copytree(RECORDER.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    bench.recorder = package / RECORDER.name
    return package


def test_a_recorder_that_lacks_what_an_upgrade_needs_ends_for_the_next_one(bench: Bench) -> None:
    """It says so in one line. The next recorder names what it has left."""
    package = install(bench)
    bench.stand_in(RECORDS)
    process = bench.start()
    bench.noted()
    leftovers = (package / "leftovers.py").read_text()
    (package / "leftovers.py").write_text("from .files import not_yet\n")
    process.terminate()
    output, _ = process.communicate(timeout=180)
    assert (found := LINE.fullmatch(output)), output
    assert found[2].startswith("the package was upgraded while this recorder ran, so the next one goes on: ")
    assert process.returncode == 1
    (package / "leftovers.py").write_text(leftovers)
    (bench.notes / "gate").unlink()
    process = bench.start()
    bench.noted()
    bench.end(process)
    assert len([path for path in (bench.root / "gate").glob("*.mp4") if segment_begun(path.name)]) == 2
