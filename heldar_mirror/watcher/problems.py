"""What is wrong at present. It is only reported: nothing decides by looking at it."""

from collections.abc import Callable, Collection

Log = Callable[[str], object]


class Problems:
    """The problems at present, by what they are about, such as `volume`. Each is logged when it begins and when it is
    over, not at every look."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._texts: dict[str, str] = {}

    def note(self, about: str, problem: str | None) -> None:
        """Take note of a problem, or with None that there is none."""
        if problem == self._texts.get(about):
            return
        if problem:
            # Two looks may find the same problem; it is logged once.
            known = problem in self._texts.values()
            self._texts[about] = problem
            if not known:
                self._log(problem)
        else:
            del self._texts[about]
            self._log(f"{about}: all well again")

    def clear(self, about: str) -> None:
        """Take note that there is no problem."""
        self.note(about, None)

    def texts(self, *, without: Collection[str] = ()) -> list[str]:
        """Return the problems, each text once, but for those about `without`."""
        return list(dict.fromkeys(text for about, text in self._texts.items() if about not in without))
