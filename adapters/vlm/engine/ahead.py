"""Making the next batch ready while the device works on this one."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(things: Iterable[T], make: Callable[[T], R]) -> Generator[R]:
    """What `make` makes of each, in order, one of them ahead in a thread. Raises what `make` raises, in
    its place."""
    with ThreadPoolExecutor(1, "f2r-ahead") as thread:
        waiting: Future[R] | None = None
        for thing in things:
            following = thread.submit(make, thing)
            if waiting:
                yield waiting.result()
            waiting = following
        if waiting:
            yield waiting.result()
