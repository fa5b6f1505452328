"""The one interface that every model is behind."""

import operator
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Fragment, Request, Retrieval


class UnfinishedError(Exception):
    """Ends a run early, by intention: what was yielded is kept, the rest is for another session."""

    def __init__(self, what: str, to_go_on: str = "the same command goes on") -> None:
        super().__init__(what)
        self.to_go_on = to_go_on


class Retriever(ABC):
    """Finds fragments. A VLM, BM25 and a random guess are all retrievers.

    A class of your own needs `retrieve` and no more; the attributes have working defaults.
    """

    #: whether it looks at pictures: their files are then found (and digested) before the run starts
    uses_images: bool = True
    #: dialogues of more turns are cut into slices for it; None: it reads any length
    max_turns: int | None = None
    #: only the rows that are made of the gold answer see it
    sees_gold: bool = False

    @abstractmethod
    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        """Yield one retrieval a request, in any order, each as soon as it is there.

        All requests of a run come at once, so that they can be grouped by dialogue, batched or sent
        concurrently. A request that fails is a `Retrieval` with a `Failure`, not an exception: an
        exception ends the run (what was yielded before it is kept).
        """

    def identity(self) -> dict[str, Any]:
        """Everything that answers depend on (settings, digests of weights, decoding): a run resumes only
        under the same. What is in a file of one's own and the modules beside it is in it anyway."""
        return {}

    def recall(self, attempts: Iterable[Retrieval]) -> None:  # noqa: B027 (few need it)
        """Given every attempt of the run's earlier sessions: for limits over all of them."""

    def environment(self) -> dict[str, Any]:
        """What is worth knowing but changes no answer by intention: device, backends, batch size."""
        return {}


def found(request: Request, fragment: Fragment) -> Retrieval:
    """The retrieval of a retriever that gives ids (also NumPy's) and no text of its own.

    Raises InputError for an id that is not a whole number from 0.
    """
    ids = Fragment(*(frozenset(map(_id, some)) for some in (fragment.utterances, fragment.images)))
    return Retrieval(request.id, text=render_answer(ids))


def _id(given: Any) -> int:
    try:
        number = -1 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = -1
    if number < 0:
        raise InputError(f"{given!r} ({type(given).__name__}) is no id: ids are whole numbers from 0")
    return number


def seeded(seed: int, request: Request) -> random.Random:
    """Randomness of one request: the same whatever was asked before it, and on any machine."""
    return random.Random(f"{seed} {request.dialogue.digest} {request.query.text}")
