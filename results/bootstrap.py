"""Differences between two systems with intervals: the paired bootstrap over dialogues, pure numpy.

The queries of one dialogue are answered well or badly together, so dialogues are drawn and not
requests. What is computed, and from where: docs/comparison.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.scoring import Protocol

RESAMPLES = 10_000
SEED = 0
PARTS = ("utterance", "image", "joint")
METRICS = tuple(f"{part}.{name}" for part in PARTS for name in NAMES)
FEW_DIALOGUES = 6  # of fewer, not even all of them agreeing is a finding: 2 · ½⁵ > 5 %
_Z = NormalDist().inv_cdf(0.975)
_POWER = _Z + NormalDist().inv_cdf(0.8)
_CELLS = 1 << 21  # of a block of weights: 16 MB
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of two systems, as fractions; `low` and `high` are the 95 % interval of new - base.

    `p` is two-sided, and at most 0.05 exactly where 0 is outside the interval; `p_holm` is corrected
    for the number of systems compared. `detectable` is the smallest true difference that such a
    comparison finds at 5 % in four of five cases.
    """

    base: float
    new: float
    low: float
    high: float
    p: float
    detectable: float
    p_holm: float | None = None

    @property
    def value(self) -> float:
        return self.new - self.base


def differences(
    base: Ints, new: Ints, protocol: Protocol, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Difference]:
    """Every metric of `METRICS` from the counts of both systems over the same dialogues.

    `base` and `new` have one row a dialogue: TP, FP, FN, TN of its requests' utterances, then of
    their images.
    """
    both = np.concatenate([base, new], axis=1)
    sums = resampled_sums(both, resamples, seed)
    drawn = metrics_of(sums[:, 8:], protocol) - metrics_of(sums[:, :8], protocol)
    values = [metrics_of(side.sum(axis=0)[None], protocol)[0].tolist() for side in (base, new)]
    found = {}
    for column, name in enumerate(METRICS):
        before, after = values[0][column], values[1][column]
        if len(base) < FEW_DIALOGUES:
            span = _span(name) if (base != new).any() else 0.0
            found[name] = Difference(before, after, -span, span, 1.0, span)
        else:
            found[name] = difference_of(before, after, drawn[:, column], len(base))
    return found


def _span(name: str) -> float:
    """The largest difference that a metric can have: of too few dialogues nothing else is known."""
    return 2.0 if name.endswith(".mcc") else 1.0


def difference_of(base: float, new: float, drawn: Floats, dialogues: int) -> Difference:
    """Interval and p-value are read off the same draws, so that they cannot contradict each other."""
    observed = new - base
    draws = np.sort(observed + widening(dialogues) * (drawn - observed))
    tail = (len(draws) + 1) // 40  # 2.5 % of the draws and the observed value
    beyond = 1 + min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return Difference(
        base,
        new,
        low=float(draws[tail - 1]),
        high=float(draws[-tail]),
        p=min(1.0, 2 * beyond / (len(draws) + 1)),
        detectable=_POWER * float(draws.std(ddof=1)),
    )


def widening(dialogues: int) -> float:
    """By how much draws are spread about the observed value: √(n/(n-1)) · t/z at 97.5 %.

    A percentile interval is too narrow by this factor, as one with 1/n in the variance and the
    normal in place of Student's t (Hesterberg 2015). t by Cornish and Fisher's expansion
    (Abramowitz & Stegun 26.7.5): 2.568 for six dialogues, where 2.571 is right.
    """
    z, free = _Z, dialogues - 1
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    return math.sqrt(dialogues / free) * t / z


def resampled_sums(counts: Ints, resamples: int, seed: int) -> Ints:
    """Column sums over as many rows as there are, drawn with replacement; one row a resample."""
    rng = np.random.default_rng(seed)
    rows = len(counts)
    block = max(1, _CELLS // rows)
    sums = [
        weights_of(rng, min(block, resamples - begin), rows) @ counts.astype(float)
        for begin in range(0, resamples, block)
    ]
    return np.concatenate(sums).astype(np.int64)  # exact: far below 2^53


def weights_of(rng: np.random.Generator, resamples: int, rows: int) -> Floats:
    """How often each row is drawn in each resample."""
    drawn = rng.integers(rows, size=(resamples, rows))
    drawn += rows * np.arange(resamples)[:, None]
    found = np.bincount(drawn.ravel(), minlength=resamples * rows)
    return found.reshape(resamples, rows).astype(float)


def metrics_of(sums: Ints, protocol: Protocol) -> Floats:
    """(n, 8) sums → (n, 12) metrics in the order of `METRICS`: to the last digit those of
    `tasks.scoring.Tally` under the micro average, whose formulas these are."""
    utterance, image = _modality(sums[:, :4]), _modality(sums[:, 4:])
    joint = (utterance + image) / 2
    if protocol == "published":
        joint[:, :2] = _ratio(2 * utterance[:, :2] * image[:, :2], utterance[:, :2] + image[:, :2])
    return np.concatenate([utterance, image, joint], axis=1)


def _modality(counts: Ints) -> Floats:
    tp, fp, fn, tn = counts.T
    precision, recall = _ratio(tp, tp + fp), _ratio(tp, tp + fn)
    f1 = _ratio(2 * precision * recall, precision + recall)
    square = (tp + fp).astype(object) * (tp + fn) * (tn + fp) * (tn + fn)  # beyond 64 bits
    mcc = _ratio(tp * tn - fp * fn, np.sqrt(square.astype(float)))
    return np.stack([precision, recall, f1, mcc], axis=1)


def _ratio(above: npt.NDArray[np.generic], below: npt.NDArray[np.generic]) -> Floats:
    """0 where a denominator is 0."""
    ratio: Floats = np.zeros(np.shape(below))
    np.divide(above, below, out=ratio, where=np.asarray(below != 0))
    return ratio


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the same order."""
    corrected = [0.0] * len(ps)
    worst = 0.0
    for rank, position in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[position]))
        corrected[position] = worst
    return corrected
