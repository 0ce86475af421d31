"""A report that the asker makes without a watcher."""

from pathlib import Path

from support.examples import settings

from heldar_mirror.status.gather import gather


def test_what_cannot_be_found_out_is_a_problem_of_the_report(tmp_path: Path) -> None:
    """Without a database and without supervisord there is a report all the same, and it says so."""
    report = gather(settings(MIRROR_STATE_DIR=str(tmp_path), DATABASE_URL=f"sqlite://{tmp_path}/heldar.db"))
    database, supervisord = report.problems
    assert "heldar.db" in database
    assert "supervisord does not answer" in supervisord
    assert (report.cameras, report.known, report.well) == ((), False, False)
