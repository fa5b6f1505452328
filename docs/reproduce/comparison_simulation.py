"""Does `f2r compare` keep its promises? Trials with a known truth: `python comparison_simulation.py`.

Two systems answer the requests of made-up dialogues. A dialogue has 2 or 3 requests and, four times
in five, pictures; its difficulty moves both systems and all of its requests together, a request's
moves both systems, and each system has luck of its own. Counts are drawn of that. The truth is the
value over 200,000 dialogues. Printed by number of dialogues:

  coverage  share of trials whose 95 % interval holds the true difference
  gate      share of trials in which the gate says no, by the allowed drop in points of joint F1: for
            two equal systems (false alarms), and for one that is 3 points worse (power)
"""

import argparse
from dataclasses import dataclass

import numpy as np

from f2rcli.results.bootstrap import METRICS, Difference, Floats, Ints, differences, metrics_of
from f2rcli.tasks.scoring import PROTOCOLS, Protocol

SHOWN = ("joint.precision", "joint.recall", "joint.f1", "joint.mcc", "utterance.f1", "image.f1")
JOINT_F1 = METRICS.index("joint.f1")
MARGINS = (1.0, 2.0, 3.0, 4.0)
DROP = 0.03
REQUESTS = 3  # at most, of a dialogue
SKILL = 1.0  # of the base system: log-odds of finding a part of the fragment


@dataclass(frozen=True)
class Sample:
    """Dialogues without the systems' skill: everything that chance decides, once for both."""

    there: Floats  # (dialogues, requests) 1 for a request, 0 for none
    sizes: Ints  # (modalities, dialogues, requests): how many ids there are
    gold: Ints  # how many of them are gold
    ease: Floats  # (systems, dialogues, requests): log-odds on top of the skill
    seed: int

    @classmethod
    def draw(cls, dialogues: int, seed: int) -> "Sample":
        rng = np.random.default_rng(seed)
        shape = (dialogues, REQUESTS)
        there = np.ones(shape)
        there[:, 2] = rng.random(dialogues) < 0.5
        turns = rng.integers(15, 120, dialogues)
        pictures = np.where(rng.random(dialogues) < 0.8, rng.integers(1, 11, dialogues), 0)
        sizes = np.stack([turns, pictures])[:, :, None] * np.ones((1, 1, REQUESTS), dtype=np.int64)
        share = rng.beta(2, 4, shape) * (rng.random(shape) > 0.1)  # one in ten matches nothing
        gold = rng.binomial(sizes, share)
        ease = (
            0.8 * rng.standard_normal((1, dialogues, 1))
            + 0.5 * rng.standard_normal((1, *shape))
            + 0.6 * rng.standard_normal((2, *shape))
        )
        return cls(there, sizes, gold, ease, seed)

    def counts(self, system: int, skill: float) -> Ints:
        """(dialogues, 8): the counts that a system of this skill gets, as `differences` takes them."""
        rng = np.random.default_rng([self.seed, system])
        odds = skill + self.ease[system]
        columns = []
        for size, gold in zip(self.sizes, self.gold, strict=True):
            hits = rng.binomial(gold, _share(odds))
            extra = rng.binomial(size - gold, _share(-2.5 - 0.5 * odds))
            parts = (hits, extra, gold - hits, size - gold - extra)
            columns += [(part * self.there).sum(axis=1) for part in parts]
        return np.stack(columns, axis=1).astype(np.int64)


def _share(log_odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-log_odds))


def values(skill: float, protocol: Protocol, population: Sample) -> Floats:
    """What a system of this skill scores over the population, with either luck."""
    sums = sum(population.counts(system, skill).sum(axis=0) for system in range(2))
    return metrics_of(np.array([sums]), protocol)[0]


def worse_skill(protocol: Protocol, population: Sample) -> float:
    """The skill of a system whose joint F1 is 3 points below that of the base."""
    wanted = values(SKILL, protocol, population)[JOINT_F1] - DROP
    low, high = SKILL - 2, SKILL
    for _ in range(12):
        middle = (low + high) / 2
        if values(middle, protocol, population)[JOINT_F1] < wanted:
            low = middle
        else:
            high = middle
    return high


def trials(
    skills: tuple[float, float], protocol: Protocol, dialogues: int, number: int, resamples: int
) -> list[dict[str, Difference]]:
    found = []
    for trial in range(number):
        sample = Sample.draw(dialogues, 1_000 + trial)
        base, new = (sample.counts(system, skill) for system, skill in enumerate(skills))
        found.append(differences(base, new, protocol, resamples=resamples, seed=trial))
    return found


def covered(found: list[dict[str, Difference]], true: Floats, name: str) -> float:
    value = true[METRICS.index(name)]
    return float(np.mean([trial[name].low <= value <= trial[name].high for trial in found]))


def refused(found: list[dict[str, Difference]], margin: float) -> float:
    return float(np.mean([trial["joint.f1"].low < -margin / 100 for trial in found]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1999)
    parser.add_argument("--dialogues", type=int, nargs="+", default=[100, 580])
    parser.add_argument("--protocol", choices=PROTOCOLS, default="strict")
    options = parser.parse_args()
    protocol: Protocol = options.protocol
    population = Sample.draw(200_000, seed=0)
    base = values(SKILL, protocol, population)
    print(f"{options.trials} trials, {options.resamples} resamples, {protocol} protocol")
    for dialogues in options.dialogues:
        print(f"\n{dialogues} dialogues")
        for name, skill in {"equal": SKILL, "worse": worse_skill(protocol, population)}.items():
            true = values(skill, protocol, population) - base
            found = trials((SKILL, skill), protocol, dialogues, options.trials, options.resamples)
            detectable = 100 * float(np.mean([trial["joint.f1"].detectable for trial in found]))
            shares = [f"{metric} {covered(found, true, metric):.3f}" for metric in SHOWN]
            said = [f"{m:.1f}: {refused(found, m):.3f}" for m in (*MARGINS, 1.3 * detectable)]
            print(f"  {name}: true joint F1 difference {100 * true[JOINT_F1]:+.2f} points")
            print(f"    coverage  {', '.join(shares)}")
            print(f"    gate      {', '.join(said)} (the last is 1.3 x detectable)")


if __name__ == "__main__":
    main()
