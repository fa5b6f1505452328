"""The rewards of given completions, to look at before a training is started for them."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from f2rcli.results.cells import percent
from f2rcli.results.measuring import Progress
from f2rcli.results.runs import RunFolder
from f2rcli.results.selection import Selection
from f2rcli.results.show import prediction_file
from f2rcli.tasks.answers import strict_lists
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.predictions import Prediction, read_predictions
from f2rcli.training.rewards import Rewards, RewardWeights, vectors_for

SHOWN = 90  # characters of a completion in a table


@dataclass(frozen=True, slots=True)
class Rewarded:
    """A completion, its rewards without their weights, and their weighted sum."""

    request: str
    rewards: dict[str, float]
    total: float
    strict: bool
    completion: str

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


def rewarded(
    file: Path,
    weights: RewardWeights,
    encoder: str | None = None,
    data_root: Path | None = None,
    *,
    allow_outside: bool = False,
    note: Callable[[str], None] = lambda line: None,
    on_progress: Progress = lambda done, total: None,
) -> list[Rewarded]:
    """The rewards of every line of a prediction file, or of a run folder's.

    `data_root` is where a bare file's image paths start from, beside its own folder. Raises InputError
    if the lines are no predictions or not of the run's requests, and if what a reward needs is missing.
    """
    predictions = list(read_predictions(prediction_file(file)))
    selection = _asked(file, data_root, allow_outside)
    if [p.gold for p in predictions] != [request.gold for request in selection.requests]:
        raise InputError(
            "the predictions are not of the run's requests",
            where=str(file),
            fix=f"`f2r score {file}` makes them again",
        )
    for line in _oddities(predictions):
        note(f"{file}: {line}")
    named = asdict(weights)
    rewards = Rewards(named, vectors_for(named, selection, encoder, on_progress=on_progress))
    found = []
    for prediction, request in zip(predictions, selection.requests, strict=True):
        values = rewards.of([prediction.response], request)
        (total,) = rewards.total(values)
        found.append(
            Rewarded(
                request=prediction.id,
                rewards={name: value for name, (value,) in values.items()},
                total=total,
                strict=strict_lists(prediction.response) is not None,
                completion=prediction.response,
            )
        )
    return found


def _asked(file: Path, data_root: Path | None, allow_outside: bool) -> Selection:
    if RunFolder.is_one(file):
        return Selection.of_record(RunFolder(file).record())
    task = load_task(str(file.resolve()), data_root, allow_outside=allow_outside)
    return Selection.of(task, None, 0)


def _oddities(predictions: Sequence[Prediction]) -> list[str]:
    """Lines that hold no completion of a model."""
    merged = sum(prediction.sliced for prediction in predictions)
    unanswered = sum(not prediction.answered for prediction in predictions)
    said = [
        (merged, "are merged of a long dialogue's slices, and strict whatever those were"),
        (unanswered, "hold no answer, which counts as an empty completion"),
    ]
    return [f"{number} lines {what}" for number, what in said if number]


def table(found: Sequence[Rewarded], limit: int) -> tuple[list[str], list[list[str]]]:
    """Headers and rows: the first `limit` completions, and the means over all of them."""
    names = list(found[0].rewards)
    rows = [
        [one.request, *_numbers([*one.rewards.values(), one.total]), _short(one.completion)]
        for one in found[:limit]
    ]
    if more := len(found) - len(rows):
        rows.append([f"… {more:,} more", *[""] * (len(names) + 2)])
    means = [fmean(one.rewards[name] for one in found) for name in names]
    rows.append(["mean", *_numbers([*means, fmean(one.total for one in found)]), ""])
    return ["request", *names, "total", "completion"], rows


def basis(found: Sequence[Rewarded], weights: RewardWeights) -> str:
    """What the numbers are of."""
    strict = percent(fmean(one.strict for one in found))
    total = " + ".join(f"{weight:g} {name}" for name, weight in asdict(weights).items() if weight)
    return f"{len(found):,} completions, {strict} % of them strict; total = {total}"


def _numbers(values: Iterable[float]) -> list[str]:
    return [f"{value:.3f}" for value in values]


def _short(completion: str) -> str:
    """On one line, with what cannot be seen escaped."""
    shown = repr(completion)[1:-1]
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"
