"""Worker threads that ask, and one iterator of what they bring."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

from f2rcli.adapters.api.pacing import ClosedError, Gate
from f2rcli.tasks.types import Request, Retrieval

Lane = list[Request]
Answer = Callable[[Request], Retrieval]


def lanes(requests: Sequence[Request], workers: int) -> list[Lane]:
    """Requests by dialogue: one worker asks them one after the other, so that a dialogue's pictures are
    encoded once, and what an endpoint caches of it is there for its next query. No lane is longer than
    a worker's share of everything, so that a single long one keeps nobody waiting."""
    share = -(-len(requests) // workers)
    by_dialogue: dict[str, Lane] = {}
    for request in requests:
        by_dialogue.setdefault(request.dialogue.digest, []).append(request)
    return [
        lane[begin : begin + share]
        for lane in by_dialogue.values()
        for begin in range(0, len(lane), share)
    ]


class Crew:
    """`workers` threads, each on one lane at a time.

    A worker asks on only when there is room for its answer: at most as many answers as there are workers
    wait to be written, so that hardly any that was paid for is lost when the process is killed.
    """

    def __init__(self, workers: int, gate: Gate) -> None:
        self.workers = workers
        self.gate = gate
        self._unwritten = threading.Semaphore(workers)
        self._brought: SimpleQueue[Retrieval | BaseException | None] = SimpleQueue()
        self._lanes: Iterator[Lane] = iter(())
        self._next = threading.Lock()

    def run(self, todo: Sequence[Lane], begin: Callable[[Lane], Answer]) -> Iterator[Retrieval]:
        """What `begin(lane)` answers to every request, each as soon as it is there.

        An exception of a worker is raised here, once what others have in flight has come back; an
        interrupt at once, after everything that has come back already.
        """
        self._lanes = iter(todo)
        busy = min(self.workers, len(todo))
        ended: BaseException | None = None
        with self._interruptible():
            try:
                for _ in range(busy):
                    threading.Thread(target=self._work, args=(begin,), daemon=True).start()
                while busy:
                    brought = self._brought.get()
                    if brought is None:
                        busy -= 1
                    elif isinstance(brought, Retrieval):
                        yield brought
                        self._unwritten.release()
                    elif isinstance(brought, KeyboardInterrupt):
                        raise brought
                    else:
                        ended = ended or brought
                        self._close()
                if ended:
                    raise ended
            finally:
                self._close()

    def _work(self, begin: Callable[[Lane], Answer]) -> None:
        try:
            while True:
                with self._next:
                    lane = next(self._lanes, None)
                if lane is None:
                    return
                answer = begin(lane)
                for request in lane:
                    self._unwritten.acquire()
                    if self.gate.closed:
                        return
                    self._brought.put(answer(request))
        except ClosedError:
            pass
        except BaseException as error:
            self.gate.close()  # at once, before others send more in vain
            self._brought.put(error)
        finally:
            self._brought.put(None)

    def _close(self) -> None:
        self.gate.close()
        self._unwritten.release(self.workers)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Control-C becomes one of the things that are brought, behind the answers that are there; a
        second one interrupts as usual. (A SimpleQueue can be put into from a signal handler.)"""
        usual = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(usual):
            yield
            return

        def interrupt(number: int, frame: Any) -> None:
            signal.signal(signal.SIGINT, usual)
            self._brought.put(KeyboardInterrupt())

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)
