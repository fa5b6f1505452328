"""Precision, recall, F1 and MCC over sets of ids: pure functions, no files.

Formulas and corner cases: docs/protocols.md. All values are fractions.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from statistics import fmean

NAMES = ("precision", "recall", "f1", "mcc")


@dataclass(frozen=True, slots=True)
class Metrics:
    precision: float
    recall: float
    f1: float
    mcc: float

    def as_dict(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in NAMES}

    @classmethod
    def combine(cls, rule: Callable[[str, list[float]], float], *parts: "Metrics") -> "Metrics":
        """One value a metric from the values that `parts` have for it: `rule(metric, values)`."""
        return cls(*(rule(name, [getattr(part, name) for part in parts]) for name in NAMES))


@dataclass(slots=True)
class Counts:
    """A confusion matrix over ids. Mutable: the micro average is a sum over a whole file."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def add(self, other: "Counts") -> None:
        self.tp += other.tp
        self.fp += other.fp
        self.fn += other.fn
        self.tn += other.tn

    def metrics(self) -> Metrics:
        """0 where a denominator is 0."""
        precision = self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0
        recall = self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0
        total = precision + recall
        f1 = 2 * precision * recall / total if total else 0.0
        return Metrics(precision, recall, f1, self.mcc())

    def mcc(self) -> float:
        """Matthews correlation coefficient; the root of a product of whole numbers, so exact."""
        square = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        return (self.tp * self.tn - self.fp * self.fn) / math.sqrt(square) if square else 0.0


def count(predicted: frozenset[int], gold: frozenset[int], universe: Collection[int]) -> Counts:
    """Ids outside the universe count as false positives (or negatives), never as true negatives.

    `universe` may be a range of any size: only its length and membership are used.
    """
    hits = len(predicted & gold)
    touched = sum(i in universe for i in predicted | gold)
    return Counts(hits, len(predicted) - hits, len(gold) - hits, len(universe) - touched)


def sample_metrics(
    predicted: frozenset[int], gold: frozenset[int], universe: Collection[int]
) -> Metrics:
    """Metrics of one sample for the macro average.

    An empty gold list scores P = R = F1 = 1 for an empty prediction, else 0. MCC ignores ids outside
    the universe.
    """
    known = frozenset(i for i in predicted | gold if i in universe)
    mcc = count(predicted & known, gold & known, universe).mcc()
    if not gold:
        value = 0.0 if predicted else 1.0
        return Metrics(value, value, value, mcc)
    plain = count(predicted, gold, ()).metrics()
    return Metrics(plain.precision, plain.recall, plain.f1, mcc)


def mean_rule(name: str, values: list[float]) -> float:
    return fmean(values)


def published_joint_rule(name: str, values: list[float]) -> float:
    """The release's joint score: harmonic means of P and of R, arithmetic means of F1 and of MCC."""
    if name in ("precision", "recall"):
        total = sum(values)
        return 2 * values[0] * values[1] / total if total else 0.0
    return fmean(values)
