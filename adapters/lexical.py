"""BM25 over the utterances of one dialogue."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from f2rcli.adapters.retriever import Retriever, found
from f2rcli.tasks.overlap import words
from f2rcli.tasks.types import Dialogue, Fragment, Request, Retrieval

K1, B = 1.5, 0.75


class BM25(Retriever):
    """Utterances that hold at least `cutoff` of what the query says; pictures go with them.

    An utterance's score is its BM25 score (Lucene's form) divided by the sum of the query words'
    inverse document frequencies, its upper bound: a share between 0 and 1, so that one cut-off
    serves short and long queries and dialogues. The cut-off is chosen by `f2r calibrate`, never on
    test data.
    """

    uses_images = False

    def __init__(self, cutoff: float) -> None:
        self.cutoff = cutoff

    def identity(self) -> dict[str, Any]:
        import bm25s

        tokens = "words; CJK characters and pairs"
        return {
            "cutoff": self.cutoff,
            "k1": K1,
            "b": B,
            "tokens": tokens,
            "bm25s": bm25s.__version__,
        }

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        for request in requests:
            yield found(request, fragment_above(self.scores(request), self.cutoff, request.dialogue))

    def scores(self, request: Request) -> dict[int, float]:
        """Utterance id → share of the query's weight that it holds, 0 to 1."""
        import bm25s

        utterances = request.dialogue.utterances
        documents = [words(utterance.text) for utterance in utterances]
        query = list(dict.fromkeys(words(request.query.text)))
        frequency = {word: sum(word in document for document in documents) for word in query}
        known = [word for word in query if frequency[word]]
        nothing = {utterance.id: 0.0 for utterance in utterances}
        if not known:
            return nothing
        index = bm25s.BM25(k1=K1, b=B, method="lucene")
        index.index(documents, show_progress=False)
        total = sum(_idf(frequency[word], len(documents)) for word in query)
        values = index.get_scores(known)
        return {u.id: float(value) / total for u, value in zip(utterances, values, strict=True)}


def fragment_above(scores: dict[int, float], cutoff: float, dialogue: Dialogue) -> Fragment:
    """Utterances that score at least the cut-off and more than 0, with the pictures they carry."""
    kept = frozenset(i for i, score in scores.items() if score > 0 and score >= cutoff)
    images = frozenset(image for image, carrier in dialogue.carrier.items() if carrier in kept)
    return Fragment(kept, images)


def _idf(frequency: int, documents: int) -> float:
    """Lucene's inverse document frequency, as bm25s computes it."""
    return math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))
