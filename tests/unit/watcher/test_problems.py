"""Problems are logged when they begin and when they are over."""

from heldar_mirror.watcher.problems import Problems


def test_a_problem_is_logged_when_it_begins_and_when_it_is_over() -> None:
    """A problem that lasts is logged once, however often it is found."""
    log: list[str] = []
    problems = Problems(log.append)
    for text in (None, "full", "full", None, None):
        problems.note("volume", text)
    assert log == ["full", "volume: all well again"]


def test_a_problem_that_changes_is_logged_anew() -> None:
    """A different text about the same thing is a new problem."""
    log: list[str] = []
    problems = Problems(log.append)
    problems.note("volume", "full")
    problems.note("volume", "gone")
    assert log == ["full", "gone"]
    assert problems.texts() == ["gone"]


def test_the_same_problem_found_twice_is_logged_and_listed_once() -> None:
    """Two looks may find the same cause; it is one problem until both are over."""
    log: list[str] = []
    problems = Problems(log.append)
    problems.note("volume", "gone")
    problems.note("reconcile", "gone")
    assert (log, problems.texts()) == (["gone"], ["gone"])
    problems.clear("volume")
    assert problems.texts() == ["gone"]


def test_some_problems_can_be_left_out() -> None:
    """Unusable cameras have the reason in their own rows."""
    problems = Problems(lambda _: None)
    problems.note("cameras", "camera gate: no URL")
    problems.note("volume", "gone")
    assert problems.texts(without=["cameras"]) == ["gone"]
