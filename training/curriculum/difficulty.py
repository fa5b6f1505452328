"""How difficult samples are, and which are trained on in which order: pure functions.

The method is F2RVLM's; formulas and corner cases are in docs/curriculum.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self, get_args

import numpy as np

Difficulty = Literal["easy", "middle", "confusing", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)  # in the order of training
NO_LOGPROBS = 10.0  # the entropy of an answer without log-probabilities
EPSILON = 1e-12
SHARES: dict[Difficulty, Callable[[int], int]] = {  # how many of so many are kept, the best by F1
    "middle": lambda n: max(1, n // 10),
    "confusing": lambda n: max(1, n // 2),
}
DROPPED_IF_EMPTY = ("easy", "middle")


@dataclass(frozen=True, slots=True)
class Sample:
    """One request as the model answered it: mean of its utterance F1 and image F1 (a fraction), and
    the entropy of the answer (nats). `empty`: gold says that nothing matches."""

    request: str
    f1: float
    entropy: float
    empty: bool = False


def entropy(logprobs: Sequence[float]) -> float:
    """H = −Σ pᵢ ln(pᵢ + 1e-12), pᵢ = exp(logprobᵢ) / Σⱼ exp(logprobⱼ) over an answer's tokens, in nats;
    10 where there are none.

    It is the release's measure and no entropy of the model's distribution: it grows with the
    logarithm of the answer's length, and is largest where all tokens are equally likely.
    """
    if not logprobs:
        return NO_LOGPROBS
    values = np.asarray(logprobs, dtype=np.float64)
    p = np.exp(values - values.max())  # which the normalisation takes out again; it keeps the sum from 0
    p /= p.sum()
    return float(-(p * np.log(p + EPSILON)).sum())


@dataclass(frozen=True, slots=True)
class Quartiles:
    """The 25th, 50th and 75th percentile of all samples' F1 and of their entropy (linear)."""

    f1: tuple[float, float, float]
    entropy: tuple[float, float, float]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self:
        f1, nats = (
            tuple(np.percentile([getattr(sample, name) for sample in samples], (25, 50, 75)).tolist())
            for name in ("f1", "entropy")
        )
        return cls(f1, nats)

    def difficulty(self, sample: Sample) -> Difficulty:
        """The first that fits; equality counts as fitting."""
        f1, h = sample.f1, sample.entropy
        if f1 >= self.f1[2] and h <= self.entropy[0]:
            return "easy"
        if f1 >= self.f1[1] and h <= self.entropy[1]:
            return "middle"
        if f1 >= self.f1[0] and h <= self.entropy[2]:
            return "confusing"
        return "hard"


@dataclass(frozen=True)
class Curriculum:
    """All samples in the order of the data, at least one, and what becomes of them."""

    samples: Sequence[Sample]

    @cached_property
    def quartiles(self) -> Quartiles:
        return Quartiles.of(self.samples)

    @cached_property
    def classes(self) -> dict[Difficulty, list[Sample]]:
        """Every sample under its difficulty, in the order of the data."""
        found: dict[Difficulty, list[Sample]] = {name: [] for name in DIFFICULTIES}
        for sample in self.samples:
            found[self.quartiles.difficulty(sample)].append(sample)
        return found

    @cached_property
    def kept(self) -> dict[Difficulty, list[Sample]]:
        """What is trained on, in the order of training.

        Easy and middle samples that match nothing are dropped first. All easy and hard ones are kept
        in the order of the data, of the others the best by F1 (equal ones in the order of the data).
        """
        found = {}
        for name, samples in self.classes.items():
            left = [sample for sample in samples if not (sample.empty and name in DROPPED_IF_EMPTY)]
            if name in SHARES:
                left = sorted(left, key=lambda sample: -sample.f1)[: SHARES[name](len(left))]
            found[name] = left
        return found
