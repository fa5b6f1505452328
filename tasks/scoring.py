"""From prediction lines to scores, one line at a time, under both protocols."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from f2rcli.tasks import metrics
from f2rcli.tasks.answers import has_both_lists, parse_published, parse_strict
from f2rcli.tasks.metrics import Counts, Metrics
from f2rcli.tasks.predictions import Prediction
from f2rcli.tasks.similarity import SimilarityTally
from f2rcli.tasks.types import FAILURE_KINDS, Fragment

Protocol = Literal["published", "strict"]
Average = Literal["micro", "macro"]
PROTOCOLS: tuple[Protocol, ...] = ("published", "strict")
MODALITIES = ("utterances", "images")
SYNTHETIC = "synthetic"  # the share that every request of a made-up set counts to


@dataclass(frozen=True, slots=True)
class Universe:
    """The ids that count as existing: sets or ranges."""

    utterances: Collection[int]
    images: Collection[int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one protocol makes of one prediction: ids on all sides, and what went wrong."""

    predicted: Fragment
    gold: Fragment
    universe: Universe
    failures: tuple[str, ...] = ()
    answered: bool = True

    @property
    def exact(self) -> bool:
        """Whether the answer is the gold fragment, and no failure that happens to look like it."""
        return self.predicted == self.gold and self.answered and not self.failures

    @property
    def out_of_range(self) -> Fragment:
        """What was predicted but does not exist."""
        sides = (self.sides(modality) for modality in MODALITIES)
        return Fragment(*(frozenset(i for i in ids if i not in known) for ids, _, known in sides))

    def sides(self, modality: str) -> tuple[frozenset[int], frozenset[int], Collection[int]]:
        """Predicted, gold and existing ids of a modality."""
        predicted, gold = getattr(self.predicted, modality), getattr(self.gold, modality)
        return predicted, gold, getattr(self.universe, modality)

    def counts(self, modality: str) -> Counts:
        return metrics.count(*self.sides(modality))

    def sample(self, modality: str) -> Metrics:
        return metrics.sample_metrics(*self.sides(modality))


def published_universe(largest: int | None) -> range:
    """The release's ids: 0 to the largest tag in the first user message; 0 to 20 without a tag."""
    return range(21 if largest is None else largest + 1)


def judge_published(prediction: Prediction) -> Verdict:
    """As the release's scoring script: lenient parse, a failed call is an empty answer."""
    failures, answered = list(prediction.failures), prediction.answered
    predicted, readable = parse_published(prediction.response if answered else "")
    if prediction.sliced:  # the merged answer always is; what was merged need not be
        readable = all(has_both_lists(answer.response) for answer in prediction.answers)
    if not readable and answered:
        failures.append("malformed")
    universe = Universe(
        published_universe(prediction.largest_utterance),
        published_universe(prediction.largest_image),
    )
    return Verdict(predicted, prediction.gold, universe, tuple(failures), answered)


def judge_strict(prediction: Prediction) -> Verdict:
    """Exactly the asked form or malformed; ids as the dialogue has them.

    A long dialogue's slices are judged one by one: a malformed slice finds nothing and makes the
    request count as malformed, the others still count.
    """
    predicted, failures = Fragment(), list(prediction.failures)
    if prediction.answered:
        for answer in prediction.answers:
            fragment = parse_strict(answer.response)
            if fragment is None:
                failures.append("malformed")
            else:
                predicted |= answer.to_dialogue(fragment)
    universe = Universe(prediction.universe.utterances, prediction.universe.images)
    told = tuple(dict.fromkeys(failures))
    return Verdict(predicted, prediction.gold, universe, told, prediction.answered)


JUDGES: dict[Protocol, Callable[[Prediction], Verdict]] = {
    "published": judge_published,
    "strict": judge_strict,
}


@dataclass
class Tally:
    """Sums over samples: enough for both averages, whatever the number of samples."""

    protocol: Protocol
    samples: int = 0
    micro: dict[str, Counts] = field(default_factory=lambda: {m: Counts() for m in MODALITIES})
    macro: dict[str, "Mean"] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        self.samples += 1
        for modality in MODALITIES:
            self.micro[modality].add(verdict.counts(modality))
        parts = {modality: verdict.sample(modality) for modality in MODALITIES}
        no_images = not verdict.universe.images and not verdict.predicted.images
        if self.protocol == "strict" and no_images:
            del parts["images"]  # a dialogue without images says nothing about images
        for modality, part in [*parts.items(), ("joint", self._join(*parts.values()))]:
            self.macro.setdefault(modality, Mean()).add(part)

    def __add__(self, other: "Tally") -> "Tally":
        both = Tally(self.protocol, self.samples + other.samples)
        for tally in (self, other):
            for modality, counts in tally.micro.items():
                both.micro[modality].add(counts)
            for name, mean in tally.macro.items():
                both.macro[name] = both.macro.get(name, Mean()) + mean
        return both

    def _join(self, *parts: Metrics) -> Metrics:
        if self.protocol == "published":
            return Metrics.combine(metrics.published_joint_rule, *parts)
        return Metrics.combine(metrics.mean_rule, *parts)

    def scores(self, average: Average) -> dict[str, dict[str, float]]:
        """P, R, F1 and MCC for utterance, image and joint, as in scores.json."""
        if average == "micro":
            parts = {modality: counts.metrics() for modality, counts in self.micro.items()}
            parts["joint"] = self._join(*parts.values())
        else:
            parts = {name: self.macro.get(name, Mean()).value() for name in (*MODALITIES, "joint")}
        names = {"utterances": "utterance", "images": "image", "joint": "joint"}
        return {name: parts[key].as_dict() for key, name in names.items()}


@dataclass
class Mean:
    """Mean of `Metrics`; 0 over nothing."""

    count: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(metrics.NAMES, 0.0))

    def add(self, part: Metrics) -> None:
        self.count += 1
        for name in self.sums:
            self.sums[name] += getattr(part, name)

    def __add__(self, other: "Mean") -> "Mean":
        sums = {name: value + other.sums[name] for name, value in self.sums.items()}
        return Mean(self.count + other.count, sums)

    def value(self) -> Metrics:
        return Metrics(*(self.sums[name] / max(1, self.count) for name in metrics.NAMES))


class Scorer:
    """Scores of one protocol over a stream of predictions."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.answered = Tally(protocol)
        self.unanswered = Tally(protocol)
        self.similarity = SimilarityTally()
        self.failures: Counter[str] = Counter()
        self.out_of_range = 0
        self.synthetic = 0
        self.right = 0
        self.unasked = 0

    def add(self, prediction: Prediction) -> Verdict:
        verdict = JUDGES[self.protocol](prediction)
        (self.answered if verdict.answered else self.unanswered).add(verdict)
        self.failures.update(verdict.failures)
        self.out_of_range += verdict.out_of_range.size
        self.synthetic += SYNTHETIC in prediction.shares
        self.right += verdict.exact
        self.unasked += prediction.unasked
        if prediction.embedded:
            self.similarity.add(prediction.embedded, verdict.predicted, verdict.gold)
        return verdict

    @property
    def samples(self) -> int:
        return self.answered.samples + self.unanswered.samples

    @property
    def exact(self) -> float:
        """Share of the requests whose answer is the gold fragment: for those that match nothing, the
        one number that says something (there is no true positive to count)."""
        return self.right / max(1, self.samples)

    def result(self, average: Average = "micro") -> dict[str, Any]:
        """The object of scores.json.

        `answered` is there only where not everything was answered (null: nothing), `unasked` only where
        not everything was asked, `synthetic` only (true) where every request is of a made-up set.
        """
        everything = self.answered + self.unanswered
        result: dict[str, Any] = {
            "protocol": self.protocol,
            "average": average,
            "samples": everything.samples,
            "coverage": self.answered.samples / max(1, everything.samples),
            **everything.scores(average),
            **self.similarity.result(),
            "failures": {kind: self.failures[kind] for kind in FAILURE_KINDS},
            "out_of_range_ids": self.out_of_range,
        }
        if everything.samples and self.synthetic == everything.samples:
            result["synthetic"] = True
        if self.unanswered.samples:
            result["answered"] = self.answered.scores(average) if self.answered.samples else None
        if self.unasked:
            result["unasked"] = self.unasked
        return result


def score(predictions: Iterable[Prediction]) -> dict[Protocol, Scorer]:
    """Both protocols in one pass."""
    scorers = {protocol: Scorer(protocol) for protocol in PROTOCOLS}
    for prediction in predictions:
        for scorer in scorers.values():
            scorer.add(prediction)
    return scorers


def score_shares(predictions: Iterable[Prediction], protocol: Protocol) -> dict[str, Scorer]:
    """One protocol's scores for every share of the dataset, the largest share first."""
    scorers: dict[str, Scorer] = {}
    for prediction in predictions:
        for share in prediction.shares:
            scorers.setdefault(share, Scorer(protocol)).add(prediction)
    return dict(sorted(scorers.items(), key=lambda item: -item[1].samples))
