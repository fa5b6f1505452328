"""Comparing systems on the same requests: pairs, differences, wins and flips."""

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from f2rcli.results.bootstrap import (
    METRICS,
    RESAMPLES,
    SEED,
    Difference,
    Ints,
    differences,
    holm,
)
from f2rcli.results.outcomes import Outcome, Sample, Side
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.scoring import Protocol
from f2rcli.tasks.types import FAILURE_KINDS


@dataclass(frozen=True, slots=True)
class Pair:
    """One request on both sides."""

    base: Sample
    new: Sample


@dataclass(frozen=True, slots=True)
class Comparison:
    """`new` against `base` on the requests that both answer, in the order of `new`.

    `forced` says what would have been refused without `force`, `stated` what else is not the same.
    """

    base: Side
    new: Side
    protocol: Protocol
    pairs: list[Pair]
    differences: dict[str, Difference]
    resamples: int
    seed: int
    forced: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()

    @property
    def dialogues(self) -> int:
        return len({pair.base.dialogue for pair in self.pairs})

    @property
    def synthetic(self) -> bool:
        return self.base.synthetic or self.new.synthetic

    def outcomes(self) -> list[tuple[Outcome, Outcome]]:
        """Base's and new's of every pair."""
        return [(p.base.outcomes[self.protocol], p.new.outcomes[self.protocol]) for p in self.pairs]

    def wins(self) -> dict[str, int]:
        """Requests by whose own joint F1 is higher: won by new, tied, lost."""
        signs = Counter((new.f1 > base.f1) - (new.f1 < base.f1) for base, new in self.outcomes())
        return {"won": signs[1], "tied": signs[0], "lost": signs[-1]}

    def flips(self) -> dict[str, list[Pair]]:
        """Requests whose answer is exactly gold on one side only."""
        found: dict[str, list[Pair]] = {"gained": [], "lost": []}
        for pair, (base, new) in zip(self.pairs, self.outcomes(), strict=True):
            if base.exact != new.exact:
                found["gained" if new.exact else "lost"].append(pair)
        return found

    def show_command(self, pair: Pair) -> str:
        """How to look at new's answer (at base's, where of new only counts are known)."""
        side, sample = (self.new, pair.new) if pair.new.shown else (self.base, pair.base)
        if not sample.shown:
            return f"request {sample.request}"
        told = "" if side.protocol == self.protocol else f" --protocol {self.protocol}"
        return f"f2r show {shlex.join([str(side.source), sample.shown])}{told}"


def failures_of(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many requests failed in which way, and how many are unanswered."""
    counted: Counter[str] = Counter()
    for outcome in outcomes:
        counted.update(outcome.failures)
        counted["unanswered"] += not outcome.answered
    return {kind: counted[kind] for kind in (*FAILURE_KINDS, "unanswered")}


def compare(
    base: Side,
    new: Side,
    *,
    protocol: Protocol | None = None,
    force: bool = False,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Pair by content and compare; without a protocol, by the one that both sides have of their own.

    Raises InputError if the two do not hold the same requests or have different protocols, unless
    `force` is set: then what both share is compared, by base's protocol.
    """
    forced: list[str] = []
    if protocol is None and base.protocol != new.protocol:
        unlike = f"{base.source} goes by the {base.protocol} protocol, {new.source} by {new.protocol}"
        if not force:
            raise InputError(unlike, fix="choose one with --protocol")
        forced.append(unlike)
    if (base.probe or new.probe) and base.data == new.data:  # the ids of a run are of its data
        known, asked = base.named(), new.named()
    else:
        known, asked = base.keyed(), new.keyed()
    if what := _other_data(base, new, known, asked):
        if not force:
            raise InputError(what, fix="--force compares what both share")
        forced.append(what)
    order = {id(sample): place for place, sample in enumerate(new.samples)}
    pairs = [Pair(known[key], sample) for key, sample in asked.items() if key in known]
    pairs.sort(key=lambda pair: order[id(pair.new)])
    if not pairs:
        raise InputError(f"{base.source} and {new.source} have no request in common")
    chosen = protocol or base.protocol
    before, after = (_by_dialogue(pairs, side, chosen) for side in ("base", "new"))
    found = differences(before, after, chosen, resamples=resamples, seed=seed)
    stated = tuple(_stated(base, new, pairs))
    return Comparison(base, new, chosen, pairs, found, resamples, seed, tuple(forced), stated)


def corrected(comparisons: list[Comparison]) -> list[Comparison]:
    """The same with p-values also corrected for their number (Holm), metric by metric."""
    ps = {name: holm([one.differences[name].p for one in comparisons]) for name in METRICS}
    return [
        replace(
            one,
            differences={
                name: replace(difference, p_holm=ps[name][place])
                for name, difference in one.differences.items()
            },
        )
        for place, one in enumerate(comparisons)
    ]


def _by_dialogue(pairs: list[Pair], side: str, protocol: Protocol) -> Ints:
    """(dialogues, 8) sums of counts; dialogues in an order that is the same on both sides and
    whatever the order of lines, so that the same dialogues are drawn."""
    rows = {name: row for row, name in enumerate(sorted({pair.base.dialogue for pair in pairs}))}
    sums = np.zeros((len(rows), 8), dtype=np.int64)
    for pair in pairs:
        sample: Sample = getattr(pair, side)
        sums[rows[pair.base.dialogue]] += sample.outcomes[protocol].counts
    return sums


def _other_data(
    base: Side, new: Side, known: dict[tuple[str, int], Sample], asked: dict[tuple[str, int], Sample]
) -> str | None:
    """How the sets of requests differ, in words; None: they are the same."""
    only = [
        (side.source, [sample for key, sample in mine.items() if key not in other])
        for side, mine, other in ((base, known, asked), (new, asked, known))
    ]
    if not any(samples for _, samples in only):
        if base.probe or new.probe:
            return None  # whose pictures are others by design
        if base.data == new.data and base.images and new.images and base.images != new.images:
            return f"{base.source} and {new.source} were asked with other pictures of the same names"
        return None
    parts = [_counted(source, samples) for source, samples in only if samples]
    shared = len(known.keys() & asked.keys())
    what = f"not the same requests: {', '.join(parts)}, {shared} in both"
    mine, theirs = ({sample.question for sample in samples} for _, samples in only)
    if same := len(mine & theirs):
        what += f"; of {same} only the gold answer differs"
    return what


def _counted(source: Path, samples: list[Sample]) -> str:
    return f"{len(samples)} only in {source} (such as {samples[0].shown or samples[0].request})"


def _stated(base: Side, new: Side, pairs: list[Pair]) -> Iterable[str]:
    """What answers depend on and is not the same on both sides, as far as it is known."""
    if base.probe != new.probe:
        names = (f"{side.source} under {side.probe or 'no probe'}" for side in (base, new))
        yield f"the same requests, {' and '.join(names)}"
    elif other := sum(pair.base.prompt != pair.new.prompt for pair in pairs):
        yield f"prompts differ in {other} of {len(pairs)} requests"
    for source in dict.fromkeys(side.source for side in (base, new) if side.settings is None):
        yield f"model and decoding of {source} are not known"
    if base.settings is None or new.settings is None:
        return
    known = [*base.settings, *(name for name in new.settings if name not in base.settings)]
    unlike = [name for name in known if base.settings.get(name) != new.settings.get(name)]
    if "kind" in unlike:
        yield "models of different kinds"
    elif unlike:
        yield f"settings differ: {', '.join(unlike)}"
