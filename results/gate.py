"""A gate: may this system take the place of that one?"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from f2rcli.results.bootstrap import METRICS, Difference
from f2rcli.results.compare import Comparison, failures_of
from f2rcli.tasks.errors import InputError

DEFAULT = {"joint.f1": 0.01}


def parse_margins(texts: Iterable[str]) -> dict[str, float]:
    """`joint.f1=1.0` (points) as metric → fraction. Raises InputError for anything else."""
    margins: dict[str, float] = {}
    for text in texts:
        name, _, points = text.partition("=")
        if name not in METRICS:
            raise InputError(f"no metric {name!r} in {text!r}", fix=f"there are {', '.join(METRICS)}")
        if name in margins:
            raise InputError(f"{name} is there twice")
        try:
            margins[name] = float(points) / 100
        except ValueError:
            margins[name] = math.nan
        if not 0 <= margins[name] <= 2:
            raise InputError(f"{text!r} is no drop in points", fix="such as joint.f1=1.0")
    return margins


@dataclass(frozen=True, slots=True)
class Check:
    """One metric and by how much it may drop, as a fraction."""

    metric: str
    margin: float
    difference: Difference

    @property
    def passed(self) -> bool:
        """The pessimistic end of the 95 % interval decides: a drop has to be excluded."""
        return self.difference.low >= -self.margin

    @property
    def verdict(self) -> str:
        if self.passed:
            return "ok"
        dropped = self.difference.high < -self.margin
        return "it dropped by more" if dropped else "a larger drop is not excluded"


@dataclass(frozen=True, slots=True)
class Gate:
    """A comparison's checks, and the failures of which there are more than there were."""

    comparison: Comparison
    checks: list[Check]
    risen: dict[str, tuple[int, int]]

    @property
    def passed(self) -> bool:
        return not self.risen and all(check.passed for check in self.checks)


def judge(comparison: Comparison, margins: dict[str, float]) -> Gate:
    """No for a metric that may have dropped by more than its margin, for more failures of any kind
    (`error`, `refused`, `truncated`, `malformed`) and for more requests unanswered. Raises InputError
    where a side is of an unfinished run."""
    comparison.base.complete(), comparison.new.complete()
    checks = [Check(name, margin, comparison.differences[name]) for name, margin in margins.items()]
    before, after = (failures_of(side) for side in zip(*comparison.outcomes(), strict=True))
    risen = {kind: (before[kind], n) for kind, n in after.items() if n > before[kind]}
    return Gate(comparison, checks, risen)
