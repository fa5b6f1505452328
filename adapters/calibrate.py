"""Choosing a retriever's cut-off or thresholds on data that is not the test's."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2rcli.adapters.lexical import BM25, fragment_above
from f2rcli.adapters.registry import ModelRow, Settings, check_name, load_rows
from f2rcli.tasks import metrics
from f2rcli.tasks.datasets import Task, file_digest
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.metrics import Counts
from f2rcli.tasks.subsample import subsample
from f2rcli.tasks.types import Request

STEPS = tuple(step / 100 for step in range(1, 100))
ABOVE = ("cutoff", "utterance_threshold", "image_threshold")  # from where on a candidate is taken
SEED = 0  # of the subsample
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Cutoff:
    """A cut-off and what it reaches (strict joint micro F1) on the data it was chosen on."""

    value: float
    f1: float
    requests: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A registry row (TOML), what was chosen for it, and what that reaches on the data it was chosen
    on: strict joint micro F1 over so many requests."""

    row: str
    chosen: dict[str, float]
    f1: float
    requests: int


def choose_cutoff(requests: Iterable[Request]) -> Cutoff:
    """BM25's cut-off in steps of 0.01 with the best strict joint F1; of equals, the highest."""
    sums = {step: (Counts(), Counts()) for step in STEPS}
    retriever = BM25(cutoff=0)
    number = 0
    for request in requests:
        number += 1
        scores, gold = retriever.scores(request), request.gold
        assert gold is not None  # Task.requests raises for a record without one
        everything = request.dialogue.everything
        for step, (utterances, images) in sums.items():
            kept = fragment_above(scores, step, request.dialogue)
            utterances.add(metrics.count(kept.utterances, gold.utterances, everything.utterances))
            images.add(metrics.count(kept.images, gold.images, everything.images))
    f1 = {step: (u.metrics().f1 + i.metrics().f1) / 2 for step, (u, i) in sums.items()}
    best = max(STEPS, key=lambda step: (f1[step], step))
    return Cutoff(best, f1[best], number)


def calibrated_row(
    row: ModelRow,
    task: Task,
    name: str,
    *,
    limit: int | None = None,
    device: str | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Calibrated:
    """`row` with the cut-off or the thresholds that suit `task`, or a subsample of its requests.

    The row says what it was chosen on, with the file's digest. Raises InputError for a model without
    a cut-off and for a task that is only for testing.
    """
    check_name(name, "--name")
    if name in load_rows():
        raise InputError(f"the name {name} is taken", fix="give another --name")
    if row.kind not in ("bm25", "embedding"):
        raise InputError(
            f"{row.name} has no cut-off to choose", fix="bm25 and the rows of kind embedding have one"
        )
    if task.test_only:
        raise InputError(f"{task.name} is for testing only", fix="choose on training or validation data")
    everything = list(task.requests())
    requests = subsample(everything, limit, SEED)
    if row.kind == "bm25":
        cutoff = choose_cutoff(requests)
        chosen, f1 = {"cutoff": cutoff.value}, cutoff.f1
        kept: dict[str, Any] = {}
    else:
        chosen, f1, kept = _thresholds(row, task, requests, device, on_progress)
    of = "" if len(requests) == len(everything) else f" of {len(everything)} (seed {SEED})"
    chosen_on = f"{task.path.name}, {len(requests)} requests{of}, SHA-256 {file_digest(task.path)}"
    what = "a cut-off" if row.kind == "bm25" else "thresholds"
    about = f"{row.name} with {what} for {task.name}"
    values = {"kind": row.kind, "trained": row.trained, "about": about} | kept | chosen
    values["chosen_on"] = chosen_on
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    text = "\n".join([f"[{json.dumps(name, ensure_ascii=False)}]", *lines, ""])
    return Calibrated(text, chosen, f1, len(requests))


def _thresholds(
    row: ModelRow, task: Task, requests: Sequence[Request], device: str | None, on_progress: Progress
) -> tuple[dict[str, float], float, dict[str, Any]]:
    """What was chosen, the F1 it reaches, and the settings that the new row has beside it."""
    from f2rcli.adapters.embedding.retriever import EmbeddingRetriever
    from f2rcli.adapters.embedding.thresholds import SEARCHED, SEARCHED_ALIKE, choose_thresholds

    retriever = EmbeddingRetriever.uncalibrated(row, Settings(device=device))
    if retriever.uses_images:
        requests = [task.with_images(request) for request in requests]

    def counted() -> Iterator[Any]:
        for done, pair in enumerate(retriever.similarities(requests), 1):
            yield pair
            on_progress(done, len(requests))

    alike = not retriever.uses_images
    (utterances, images), f1 = choose_thresholds(counted(), alike=alike)
    chosen = {"utterance_threshold": utterances} | ({} if alike else {"image_threshold": images})
    left_out = ("top_k", "chosen_on", "chosen_with", "searched", *ABOVE)
    kept = {key: value for key, value in row.settings.items() if key not in left_out}
    folder = Path(kept["checkpoint"]).expanduser()
    if folder.is_dir():  # from wherever the row is used
        kept["checkpoint"] = str(folder.resolve())
    kept["chosen_with"] = retriever.used
    kept["searched"] = SEARCHED_ALIKE if alike else SEARCHED
    return chosen, f1, kept


def check_new(path: Path) -> None:
    """Raises InputError where `write_row` could not write, before hours of choosing."""
    write_row(path, "")
    path.unlink()


def write_row(path: Path, row: str) -> None:
    """Write a new registry file. Raises InputError if there is a file already."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(row)
    except FileExistsError:
        raise InputError("is there already", where=str(path), fix="give another --out") from None
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from None
