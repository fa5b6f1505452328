"""Candidates with similarities: which are taken at a threshold, and precision and recall at every one.

Pure functions, no encoder, no files. Formulas, and why they are these: docs/embedding.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from f2rcli.tasks.types import Dialogue, Fragment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]

DIGITS = 6  # of similarities: what is written is what was decided by
POINTS = 200  # of a curve, at most


class Thresholds(NamedTuple):
    """The least similarity to a query with which an utterance and an image are taken."""

    utterances: float = 0.0
    images: float = 0.0


class Similarities(NamedTuple):
    """Of one request: a number an utterance and an image, in the order of the dialogue.

    None is what has no text (or picture) to compare. An utterance of nothing but pictures goes with
    them.
    """

    utterances: tuple[float | None, ...]
    images: tuple[float | None, ...]

    @classmethod
    def of_details(cls, details: dict[str, Any], dialogue: Dialogue) -> Similarities | None:
        """As a run keeps them; None if it keeps none. Raises ValueError if they are of another
        dialogue."""
        kept = details.get("similarity")
        if kept is None:
            return None
        found = cls(tuple(kept["utterances"]), tuple(kept["images"]))
        sizes = len(dialogue.utterances), len(dialogue.images)
        numbers = [value for values in found for value in values if value is not None]
        if tuple(map(len, found)) != sizes or not all(isinstance(n, int | float) for n in numbers):
            raise ValueError("similarities of another dialogue")
        return found

    def details(self) -> dict[str, Any]:
        return {"similarity": {"utterances": list(self.utterances), "images": list(self.images)}}


class Margins(NamedTuple):
    """Id → how far above its threshold a candidate is; it is taken from 0 on."""

    utterances: dict[int, float]
    images: dict[int, float]

    def fragment(self, offset: float = 0.0) -> Fragment:
        """What is taken if both thresholds are higher by `offset`."""
        return Fragment(*(frozenset(i for i, m in each.items() if m >= offset) for each in self))


def margins(dialogue: Dialogue, found: Similarities, thresholds: Thresholds) -> Margins:
    """An utterance without a similarity of its own has the largest margin of its pictures."""
    images = {
        image.id: round(value - thresholds.images, DIGITS)
        for image, value in zip(dialogue.images, found.images, strict=True)
        if value is not None
    }
    utterances = {}
    for utterance, value in zip(dialogue.utterances, found.utterances, strict=True):
        shown = [images[i] for i in utterance.images if i in images]
        if value is not None:
            utterances[utterance.id] = round(value - thresholds.utterances, DIGITS)
        elif shown:
            utterances[utterance.id] = max(shown)
    return Margins(utterances, images)


def highest(values: dict[int, float], number: int) -> frozenset[int]:
    """The ids of the `number` highest values; of equals those that come first."""
    return frozenset(sorted(values, key=lambda i: -values[i])[:number])


@dataclass
class Candidates:
    """The candidates of one modality over many requests: all values, those of gold ones, and how many
    are gold (also those that have no value)."""

    values: list[float] = field(default_factory=list)
    hits: list[float] = field(default_factory=list)
    gold: int = 0

    def add(self, values: dict[int, float], gold: frozenset[int]) -> None:
        self.values += values.values()
        self.hits += [value for i, value in values.items() if i in gold]
        self.gold += len(gold)

    def distinct(self) -> Array:
        """Every value that occurs, ascending."""
        return np.unique(np.array(self.values, np.float64))

    def at(self, thresholds: Array | Sequence[float]) -> tuple[Array, Array]:
        """How many candidates, and how many gold ones, reach each threshold."""
        return _reaching(self.values, thresholds), _reaching(self.hits, thresholds)

    def rates(self, thresholds: Array) -> dict[str, Array]:
        """Precision, recall and F1 at each threshold; 0 where a denominator is 0."""
        taken, right = self.at(thresholds)
        gold = np.full(len(thresholds), float(self.gold))
        return {
            "precision": divided(right, taken),
            "recall": divided(right, gold),
            "f1": divided(2 * right, taken + gold),
        }

    def average_precision(self) -> float | None:
        """Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct values from the highest; None where nothing is gold."""
        if not self.gold:
            return None
        rates = self.rates(self.distinct()[::-1])
        steps = np.diff(rates["recall"], prepend=0.0)
        return float((steps * rates["precision"]).sum())


def _reaching(values: list[float], thresholds: Array | Sequence[float]) -> Array:
    ascending = np.sort(np.array(values, np.float64))
    return (len(values) - np.searchsorted(ascending, thresholds, "left")).astype(np.float64)


def divided(a: Array, b: Array) -> Array:
    """0 where the denominator is 0."""
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


@dataclass
class Curve:
    """Precision and recall if both thresholds of a run are moved by the same offset."""

    thresholds: Thresholds
    utterance: Candidates = field(default_factory=Candidates)
    image: Candidates = field(default_factory=Candidates)
    requests: int = 0

    def add(self, dialogue: Dialogue, found: Similarities, gold: Fragment) -> None:
        above = margins(dialogue, found, self.thresholds)
        self.utterance.add(above.utterances, gold.utterances)
        self.image.add(above.images, gold.images)
        self.requests += 1

    def result(self) -> dict[str, Any]:
        """curve.json. Points go from the highest threshold to the lowest; where there are more than
        `POINTS`, the run's own and the best of every kind are kept, and of the others evenly many."""
        parts = {"utterance": self.utterance, "image": self.image}
        offsets = np.unique(np.concatenate([*(part.distinct() for part in parts.values()), [0.0]]))[::-1]
        rates: dict[str, dict[str, Array]] = {name: part.rates(offsets) for name, part in parts.items()}
        both = zip(rates["utterance"].items(), rates["image"].values(), strict=True)
        rates["joint"] = {rate: (a + b) / 2 for (rate, a), b in both}
        kept = {int(i) for i in np.linspace(0, len(offsets) - 1, POINTS).round()}
        kept |= {int(np.argmax(rate["f1"])) for rate in rates.values()}
        kept |= {int(np.flatnonzero(offsets == 0.0)[0])}
        precisions = {name: part.average_precision() for name, part in parts.items()}
        return {
            "requests": self.requests,
            "thresholds": self.thresholds._asdict(),
            "average_precision": precisions,
            "points": [
                {
                    "offset": float(offsets[i]),
                    "utterance_threshold": round(self.thresholds.utterances + offsets[i], DIGITS),
                    "image_threshold": round(self.thresholds.images + offsets[i], DIGITS),
                    **{name: {k: float(v[i]) for k, v in rate.items()} for name, rate in rates.items()},
                }
                for i in sorted(kept)
            ],
        }
