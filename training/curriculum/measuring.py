"""From a prediction file and the data it is about to samples with an F1 and an entropy each."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from f2rcli.results.outcomes import request_key
from f2rcli.results.selection import Selection
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.logprobs import read_logprobs
from f2rcli.tasks.predictions import parse_prediction, prediction_line
from f2rcli.tasks.scoring import MODALITIES, judge_published
from f2rcli.training.curriculum.difficulty import Sample, entropy


@dataclass(frozen=True, slots=True)
class Measured:
    """Samples in the order of the data, how many answers failed in which way, and how many came
    without log-probabilities."""

    samples: list[Sample]
    failures: dict[str, int]
    without_logprobs: int


def measure(predictions: Path, selection: Selection) -> Measured:
    """Every request's sample, under the `published` protocol; lines are found by content.

    Raises InputError for a line of something else than the data, for requests without a line, for one
    that failed with an error (which is no answer to be scored), and if no line has log-probabilities.
    """
    places: dict[str, list[int]] = defaultdict(list)  # several where a request is there again
    for place, request in enumerate(selection.requests):
        line = prediction_line(request, "", {})
        places[request_key(line, parse_prediction(line, ""))].insert(0, place)
    found: dict[int, Sample] = {}
    failures: Counter[str] = Counter()
    without = 0
    for entry in read_values(predictions):
        try:
            prediction, tokens = parse_prediction(entry.value, ""), read_logprobs(entry.value)
            left = places[request_key(entry.value, prediction)]
            if not left:
                raise InputError(
                    f"no request of {selection.task.path}, or one more line for it",
                    fix="the recipe's data must be what was predicted (slices: `f2r data merge`)",
                )
        except InputError as error:
            raise error.at(entry.where) from None
        if "error" in prediction.failures or prediction.unasked:
            how = "was not asked" if prediction.unasked else "failed with an error"
            what = f"{how}, so there is no answer to score"
            raise InputError(what, where=entry.where, fix="ask it again")
        place = left.pop()
        request = selection.requests[place]
        verdict = judge_published(prediction)
        f1 = fmean(verdict.sample(modality).f1 for modality in MODALITIES)
        h = entropy([token["logprob"] for token in tokens])
        found[place] = Sample(request.id, f1, h, empty=not verdict.gold.size)
        failures.update(verdict.failures)
        without += not tokens
    if lacking := [r.id for place, r in enumerate(selection.requests) if place not in found]:
        what = f"lacks {len(lacking)} requests of {selection.task.path}, such as {lacking[0]}"
        raise InputError(what, where=str(predictions), fix="predict the whole of the recipe's data")
    if without == len(found):
        raise InputError(
            "no line has log-probabilities",
            where=str(predictions),
            fix="`swift infer --logprobs true` writes them; without --predictions, f2r asks itself",
        )
    return Measured([found[place] for place in sorted(found)], dict(failures), without)
