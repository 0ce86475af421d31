"""Running ahead: an iterator's next items are made in a thread, while its last ones are worked on."""

import threading
from collections.abc import Iterable, Iterator
from queue import Queue
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, which are made in a thread of their own: one is in the making while one waits to be taken.

    An error that ends the making is raised here. The thread ends with the process: what it is stuck in is left alone.
    """
    made: Queue[tuple[T] | BaseException | None] = Queue(1)

    def make() -> None:
        try:
            for item in items:
                made.put((item,))
            made.put(None)
        except BaseException as error:  # it is raised again where the items are taken
            made.put(error)

    threading.Thread(target=make, daemon=True).start()
    while found := made.get():
        if isinstance(found, BaseException):
            raise found
        yield found[0]
