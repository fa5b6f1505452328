"""How fast an endpoint is asked: attempts, pauses, and one gate for all workers."""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from f2rcli.adapters.retriever import UnfinishedError


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is attempted, and pauses between attempts in seconds: `first`, then twice as
    long each time up to `longest`, each shortened at random by up to half. An endpoint that asks for
    more than `too_long` ends the session. `timeout`: for an endpoint that says nothing. `silent`: what a
    request may wait in all before something is said about it."""

    attempts: int = 8
    first: float = 1.0
    longest: float = 60.0
    too_long: float = 900.0
    timeout: float = 600.0
    silent: float = 5.0

    def pause(self, attempt: int) -> float:
        """Before the attempt after this one (from 1)."""
        return float(min(self.longest, self.first * 2 ** (attempt - 1)) * random.uniform(0.5, 1))


class Waiting:
    """Says why nothing seems to happen: of all workers' waits one in `every` seconds."""

    every = 30.0

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = -math.inf
        self._lock = threading.Lock()

    def tell(self, line: str) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._last >= self.every:
                self._last = now
                self._say(line)


class ClosedError(Exception):
    """Nothing more is to be asked."""


class Gate:
    """Lets up to `most` requests out at once.

    When the endpoint is busy, nobody passes for a while, and then half as many as before; every answer
    lets a little more through again (additive increase, multiplicative decrease, as in TCP).
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = float(most)
        self.out = 0
        self.opens = 0.0  # on the monotonic clock
        self.closed = False
        self._changed = threading.Condition()

    def enter(self, pause: float = 0.0) -> None:
        """Wait for this worker's own pause, the gate's, and a place. Raises ClosedError."""
        ready = time.monotonic() + pause
        with self._changed:
            while not self.closed:
                left = max(ready, self.opens) - time.monotonic()
                if left <= 0 and self.out < int(self.allowed):
                    self.out += 1
                    return
                self._changed.wait(left if left > 0 else None)
            raise ClosedError

    def leave(self, *, well: bool) -> None:
        """Come back; `well` if with an answer."""
        with self._changed:
            self.out -= 1
            if well:
                self.allowed = min(self.most, self.allowed + 1 / self.allowed)
            self._changed.notify_all()

    def hold(self, seconds: float) -> None:
        """The endpoint is busy: nobody passes for so long."""
        with self._changed:
            now = time.monotonic()
            if now >= self.opens:  # else it said so to several at once
                self.allowed = max(1.0, self.allowed / 2)
            self.opens = max(self.opens, now + seconds)

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()


class Streak:
    """Requests in a row that were attempted in vain: an endpoint that is gone need not be asked a
    thousand times."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.length = 0
        self.last = ""

    def answered(self) -> None:
        self.length = 0

    def in_vain(self, message: str) -> None:
        self.length += 1
        self.last = message

    def check(self) -> None:
        """Raises UnfinishedError when it is long enough."""
        if self.length >= self.most:
            raise UnfinishedError(f"the last {self.length} requests were asked in vain ({self.last})")
