"""Several processes of one `f2r eval` (`accelerate launch`, torchrun): which one this is, and meeting
the others.

They share folders and a few counters, which the launcher keeps. No tensor goes between them, so there is
no process group: shares may end hours apart, and one that dies disturbs only the launcher, which ends
the rest.
"""

import contextlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Protocol

from f2rcli.adapters.retriever import UnfinishedError
from f2rcli.adapters.rules import API_KINDS
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request

if TYPE_CHECKING:
    from f2rcli.adapters.registry import ModelRow

POLL = 0.1  # seconds between looks at whether the others are there


class Store(Protocol):
    """Counters that all processes see. Those of torch.distributed are such."""

    def add(self, key: str, amount: int, /) -> int:
        """The counter's new value."""


class _Own(Counter[str]):
    """The counters of a process that is alone."""

    def add(self, key: str, amount: int, /) -> int:
        self[key] += amount
        return self[key]


class Processes:
    """This process, the `index`-th of `count`. The first one writes the run and speaks to the user."""

    def __init__(self, index: int = 0, count: int = 1, store: Store | None = None) -> None:
        self.index, self.count = index, count
        self.first = index == 0
        self._store: Store = _Own() if store is None else store
        self._met = 0  # how often: the same in all of them
        self._told = 0  # of how many answers

    def answered(self) -> int:
        """Count one more answer; how many there are in all processes since they met last."""
        self._told = self._add(f"answered {self._met}", 1)
        return self._told

    def wait(self, on_answered: Callable[[int], None] = lambda answers: None) -> None:
        """Until every process is here; `on_answered` is told of what the others answer meanwhile.

        Raises UnfinishedError if the launcher ends.
        """
        met = self._arrive()
        everyone = False
        while not everyone:
            everyone = self._add(f"here {met}", 0) == self.count  # before the last look at the answers
            answers = self._add(f"answered {met}", 0)
            if answers > self._told:
                self._told = answers
                on_answered(answers)
            time.sleep(0 if everyone else POLL)
        self._told = 0

    def end(self, on_answered: Callable[[int], None] = lambda answers: None) -> None:
        """The first waits until every process is here; the others go on at once."""
        if self.first:
            self.wait(on_answered)
        else:
            self._arrive()

    @contextlib.contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The others begin when the first is through: for files that all of them would write."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def has_last_word(self) -> bool:
        """Whether this one says why the command ended: where all end alike, one line is enough."""
        return self.count == 1 or self._add("last words", 1) == 1

    def share(self, requests: Collection[Request]) -> list[Request]:
        """What of these this process asks, in their order: whole dialogues, so that what is computed
        once a dialogue is. The largest goes first, each to whom has the fewest turns to read yet."""
        dialogues: dict[str, list[Request]] = defaultdict(list)
        for request in requests:
            dialogues[request.dialogue.digest].append(request)
        turns = {
            dialogue: sum(len(request.dialogue.utterances) for request in asked)
            for dialogue, asked in dialogues.items()
        }
        loads, own = [0] * self.count, set()
        for dialogue in sorted(turns, key=lambda one: (-turns[one], one)):
            taker = loads.index(min(loads))
            loads[taker] += turns[dialogue]
            if taker == self.index:
                own.add(dialogue)
        return [request for request in requests if request.dialogue.digest in own]

    def check(self, rows: "Iterable[ModelRow]", device: str | None) -> None:
        """Raises InputError for what gains nothing, or breaks, in several processes."""
        if self.count == 1:
            return
        for row in rows:
            if row.kind in API_KINDS:
                raise InputError(
                    f"{row.name} is behind an API, where {self.count} processes are no help",
                    fix="--concurrency N asks it N requests at once, without a launcher",
                )
        if device == "auto":
            raise InputError(
                f"--device auto would spread each of {self.count} processes over all GPUs",
                fix="without --device each takes a GPU of its own; without a launcher, auto takes all",
            )

    def _arrive(self) -> int:
        met, self._met = self._met, self._met + 1
        self._add(f"here {met}", 1)
        return met

    def _add(self, key: str, amount: int) -> int:
        try:
            return self._store.add(f"f2r {key}", amount)
        except RuntimeError as error:  # of torch.distributed
            raise UnfinishedError(f"the launcher has ended ({str(error).splitlines()[0]})") from None


@cache
def launched() -> Processes:
    """Those that a launcher started this one with; without one (torch is then not imported) this alone.

    Raises InputError if they cannot be met.
    """
    if "LOCAL_RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        return Processes()
    from torch.distributed.rendezvous import rendezvous

    try:
        store, index, count = next(rendezvous("env://"))
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the others cannot be met: {error}",
            fix="start f2r by `accelerate launch` or torchrun, or alone without WORLD_SIZE",
        ) from None
    return Processes(index, count, store)


def has_last_word() -> bool:
    """Of the launched processes; True where that cannot be known."""
    try:
        return launched().has_last_word()
    except (InputError, UnfinishedError):
        return True
