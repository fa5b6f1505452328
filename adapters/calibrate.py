"""Choosing a retriever's cut-off on data that is not the test's."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from f2rcli.adapters.lexical import BM25, fragment_above
from f2rcli.adapters.registry import ModelRow, load_rows
from f2rcli.tasks import metrics
from f2rcli.tasks.datasets import Task, file_digest
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.metrics import Counts
from f2rcli.tasks.types import Request

STEPS = tuple(step / 100 for step in range(1, 100))


@dataclass(frozen=True, slots=True)
class Cutoff:
    """A cut-off and what it reaches (strict joint micro F1) on the data it was chosen on."""

    value: float
    f1: float
    requests: int


def choose_cutoff(requests: Iterable[Request]) -> Cutoff:
    """The cut-off in steps of 0.01 with the best strict joint F1; of equals, the highest."""
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


def calibrated_row(row: ModelRow, task: Task, name: str) -> tuple[str, Cutoff]:
    """A registry row (TOML) of `row` with the cut-off that suits `task`, and how good that is.

    The row says what it was chosen on, with the file's digest. Raises InputError for a model without
    a cut-off and for a task that is only for testing.
    """
    if name in load_rows():
        raise InputError(f"the name {name} is taken", fix="give another --name")
    if row.kind != "bm25":
        raise InputError(f"{row.name} has no cut-off to choose", fix="bm25 has one")
    if task.test_only:
        raise InputError(f"{task.name} is for testing only", fix="choose on training or validation data")
    chosen = choose_cutoff(task.requests())
    chosen_on = f"{task.path.name}, {chosen.requests} requests, SHA-256 {file_digest(task.path)}"
    values = {
        "kind": row.kind,
        "trained": row.trained,
        "about": f"{row.name} with a cut-off for {task.name}",
        "cutoff": chosen.value,
        "chosen_on": chosen_on,
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([f"[{json.dumps(name, ensure_ascii=False)}]", *lines, ""]), chosen


def write_row(path: Path, row: str) -> None:
    """Write a new registry file. Raises InputError if there is a file already."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(row)
    except FileExistsError:
        raise InputError("is there already", where=str(path), fix="give another --out") from None
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from None
