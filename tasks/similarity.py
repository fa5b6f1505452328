"""Coherence and relevance of fragments over embeddings: pure functions, no encoder, no files.

Formulas, and why they are these: docs/coherence.md. A vector is a NumPy array of one dimension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from f2rcli.tasks.types import Dialogue, Fragment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.floating[Any]]

NO_ENCODER = "none"  # what is said instead of an encoder's name


def cosine(a: Vector, b: Vector) -> float:
    """Cosine similarity, -1 to 1; 0 where a vector has no direction."""
    square = float(a @ a) * float(b @ b)
    return float(a @ b) / math.sqrt(square) if square else 0.0


def elements(
    dialogue: Dialogue,
    fragment: Fragment,
    utterances: Mapping[int, Vector],
    images: Mapping[int, Vector],
) -> list[Vector]:
    """A fragment's embeddings in the order of the dialogue: an utterance's text, then its images.

    The fragment's images of one utterance are one element, the mean of their vectors; they stand at
    that utterance whether or not it is itself in the fragment. Ids without a vector (of what does not
    exist, or of an utterance without text) are skipped.
    """
    found = []
    for utterance in dialogue.utterances:
        if utterance.id in fragment.utterances and utterance.id in utterances:
            found.append(utterances[utterance.id])
        shown = [images[i] for i in utterance.images if i in fragment.images and i in images]
        if shown:
            found.append(sum(shown[1:], shown[0]) / len(shown))
    return found


def coherence(found: Sequence[Vector]) -> float | None:
    """Mean cosine similarity of adjacent elements ("fragment order" of F2RVLM, arXiv 2508.17714).

    None for fewer than two elements: nothing is adjacent.
    """
    return fmean(cosine(a, b) for a, b in pairwise(found)) if len(found) > 1 else None


def relevance(query: Vector, found: Sequence[Vector]) -> float | None:
    """Mean cosine similarity of the query and the elements; None where there are none."""
    return fmean(cosine(query, vector) for vector in found) if found else None


def random_like(fragment: Fragment, dialogue: Dialogue, rng: Random) -> Fragment:
    """A fragment of as many elements of each kind, drawn from the dialogue at random.

    As many utterances with text, and as many utterances with pictures, each with all of its pictures.
    """
    said = [u.id for u in dialogue.utterances if u.text.strip()]
    shown = [u.images for u in dialogue.utterances if u.images]
    texts = sum(i in fragment.utterances for i in said)
    pictured = sum(not fragment.images.isdisjoint(images) for images in shown)
    images = (image for images in rng.sample(shown, pictured) for image in images)
    return Fragment(frozenset(rng.sample(said, texts)), frozenset(images))


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an encoder makes of the texts and pictures of some requests.

    `encoder` is its name and `digest` that of its files; `texts` go by the text, `images` by the path
    that the data has; `cut` texts were longer than the encoder reads.
    """

    encoder: str
    digest: str
    texts: Mapping[str, Vector]
    images: Mapping[str, Vector]
    cut: int = 0


class Similarity(NamedTuple):
    """Of one fragment; None where undefined."""

    relevance: float | None
    coherence: float | None


@dataclass(frozen=True, slots=True)
class Embedded:
    """A query and its dialogue as an encoder sees them."""

    dialogue: Dialogue
    query: str
    vectors: Vectors

    def similarity(self, fragment: Fragment) -> Similarity:
        """Relevance and coherence of a fragment of this dialogue."""
        found = self.elements(fragment)
        return Similarity(relevance(self.vectors.texts[self.query], found), coherence(found))

    def elements(self, fragment: Fragment) -> list[Vector]:
        """The elements of a fragment of this dialogue, in its order."""
        dialogue, vectors = self.dialogue, self.vectors
        texts = {u.id: vectors.texts[u.text] for u in dialogue.utterances if u.text.strip()}
        images = {image.id: vectors.images[image.path] for image in dialogue.images}
        return elements(dialogue, fragment, texts, images)

    def at_random(self, fragment: Fragment) -> Fragment:
        """The random fragment that a fragment is compared with, always the same one."""
        seed = f"{self.dialogue.digest} {self.query}"
        return random_like(fragment, self.dialogue, Random(seed))


@dataclass
class SimilarityTally:
    """Means over requests of the predicted, the random and the gold fragments' values."""

    vectors: Vectors | None = None
    values: dict[str, list[Similarity]] = field(
        default_factory=lambda: {"predicted": [], "random": [], "gold": []}
    )

    def add(self, embedded: Embedded, predicted: Fragment, gold: Fragment) -> None:
        self.vectors = embedded.vectors
        self.values["predicted"].append(embedded.similarity(predicted))
        self.values["random"].append(embedded.similarity(embedded.at_random(predicted)))
        self.values["gold"].append(embedded.similarity(gold))

    def result(self) -> dict[str, Any]:
        """`relevance` and `coherence` of scores.json, null without an encoder, and what they stand
        beside: `similarity`, which is not there without one."""
        predicted = self._means("predicted")
        if self.vectors is None:
            return predicted
        return {
            **predicted,
            "similarity": {
                "encoder": self.vectors.encoder,
                "digest": self.vectors.digest,
                "undefined": self._undefined("predicted"),
                "random": self._means("random"),
                "gold": {**self._means("gold"), "undefined": self._undefined("gold")},
                "cut_texts": self.vectors.cut,
            },
        }

    def _means(self, name: str) -> dict[str, float | None]:
        """Over the requests where it is defined."""
        means: dict[str, float | None] = {}
        for metric in Similarity._fields:
            values = [v for one in self.values[name] if (v := getattr(one, metric)) is not None]
            means[metric] = fmean(values) if values else None
        return means

    def _undefined(self, name: str) -> dict[str, int]:
        return {
            metric: sum(getattr(one, metric) is None for one in self.values[name])
            for metric in Similarity._fields
        }
