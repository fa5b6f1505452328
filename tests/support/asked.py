"""Prediction files with log-probabilities for a data file, line by line as a test says."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import official

from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.predictions import prediction_line


def selection(data: Path) -> Selection:
    return Selection.of(load_task(str(data)), None, 0)


def lines(
    data: Path, responses: Iterable[str], logprobs: Iterable[Sequence[float] | None]
) -> list[dict[str, Any]]:
    """A line a request as `swift infer` writes it: without a key of ours."""
    made = []
    asked = selection(data).requests
    for request, response, values in zip(asked, responses, logprobs, strict=True):
        line = prediction_line(request, response, {})
        del line["f2r"]
        if values is not None:
            line["logprobs"] = {"content": [{"token": "词", "logprob": value} for value in values]}
        made.append(line)
    return made


def write(
    path: Path, data: Path, responses: Iterable[str], logprobs: Iterable[Sequence[float] | None]
) -> Path:
    return official.write(path, *lines(data, responses, logprobs))
