"""What is wrong at present. It is only reported: no decision depends on it."""

from collections.abc import Callable, Collection

Log = Callable[[str], object]


class Problems:
    """The present problems, by subject, such as `volume`. Each is logged when it begins and when it is over."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._texts: dict[str, str] = {}

    def note(self, about: str, problem: str | None) -> None:
        """Take note of a problem with a subject, or with None that there is none. Each line of it is one text."""
        if problem == self._texts.get(about):
            return
        if problem:
            # Two subjects may have the same problem, which is logged once.
            is_logged = problem in self._texts.values()
            self._texts[about] = problem
            if not is_logged:
                self._log(problem)
        else:
            del self._texts[about]
            self._log(f"{about}: all well again")

    def clear(self, about: str) -> None:
        """Take note that a subject has no problem."""
        self.note(about, None)

    def texts(self, *, without: Collection[str] = ()) -> list[str]:
        """Return the problems, each text once, except for the subjects in `without`."""
        texts = (text for about, text in self._texts.items() if about not in without)
        return list(dict.fromkeys(line for text in texts for line in text.split("\n")))
