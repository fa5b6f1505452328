"""Reference rows: what a score means can be read off what no model at all would get."""

from collections.abc import Iterator, Sequence
from typing import Any

from f2rcli.adapters.retriever import Retriever, found, seeded
from f2rcli.tasks.types import Fragment, Request, Retrieval


class Everything(Retriever):
    """Every utterance and every image of the dialogue."""

    uses_images = False

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        return (found(request, request.dialogue.everything) for request in requests)


class Nothing(Retriever):
    """The empty fragment."""

    uses_images = False

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        return (found(request, Fragment()) for request in requests)


class Oracle(Retriever):
    """The gold answer: the ceiling, and a check that the scoring reaches it."""

    uses_images = False
    sees_gold = True

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        return (found(request, request.gold or Fragment()) for request in requests)


class Random(Retriever):
    """A stated share of the dialogue's utterances and of its images, drawn at random.

    The share is a setting, never this sample's gold size: a guess does not know that.
    """

    uses_images = False

    def __init__(self, share: float, seed: int) -> None:
        self.share = share
        self.seed = seed

    def identity(self) -> dict[str, Any]:
        return {"share": self.share, "seed": self.seed}

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        return (found(request, self._draw(request)) for request in requests)

    def _draw(self, request: Request) -> Fragment:
        rng = seeded(self.seed, request)
        everything = request.dialogue.everything
        utterances, images = sorted(everything.utterances), sorted(everything.images)
        return Fragment(
            frozenset(rng.sample(utterances, round(self.share * len(utterances)))),
            frozenset(rng.sample(images, round(self.share * len(images)))),
        )
