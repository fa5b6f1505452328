"""From the answers of a run to its predictions and scores."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from f2rcli.results.runs import PREDICTIONS, SCORES, RunFolder
from f2rcli.results.selection import Selection
from f2rcli.results.writing import replacing, write_json
from f2rcli.tasks.logprobs import with_logprobs
from f2rcli.tasks.predictions import (
    Answer,
    Prediction,
    parse_prediction,
    prediction_line,
    read_predictions,
)
from f2rcli.tasks.scoring import score
from f2rcli.tasks.similarity import Embedded, Vectors
from f2rcli.tasks.slicing import Slice, merged_line, slice_request
from f2rcli.tasks.types import Request, Retrieval


def derive(
    run: RunFolder,
    requests: Iterable[Request],
    max_turns: int | None,
    vectors: Vectors | None = None,
) -> None:
    """Write predictions.jsonl (dataset order, slices merged) and scores.json; curve.json of a run that
    keeps similarities.

    Without `vectors`, relevance and coherence are not measured.
    """
    from f2rcli.results.curve import RunCurve  # NumPy, which scoring a file need not wait for

    attempts = run.attempts()
    curve = RunCurve(run)
    with replacing(run.path / PREDICTIONS) as file:

        def written() -> Iterator[Prediction]:
            for request in requests:
                line = _line(request, slice_request(request, max_turns), attempts)
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                curve.add(request, attempts.get(request.id))
                yield _embedded(parse_prediction(line, request.id), request, vectors)

        scores = _scores(written())
    write_json(run.path / SCORES, scores)
    curve.write()


def rescore(run: RunFolder) -> None:
    """Write scores.json from predictions.jsonl as it is; relevance and coherence are not measured."""
    write_json(run.path / SCORES, _scores(read_predictions(run.path / PREDICTIONS)))


def measured_predictions(path: Path, selection: Selection | None) -> Iterator[Prediction]:
    """The predictions of a file, each with its request's vectors, if the selection has any."""
    if selection is None or selection.vectors is None:
        yield from read_predictions(path)
        return
    for prediction, request in zip(read_predictions(path), selection.requests, strict=True):
        yield _embedded(prediction, request, selection.vectors)


def _embedded(prediction: Prediction, request: Request, vectors: Vectors | None) -> Prediction:
    if vectors is None:
        return prediction
    return replace(prediction, embedded=Embedded(request.dialogue, request.query.text, vectors))


def _scores(predictions: Iterable[Prediction]) -> dict[str, Any]:
    return {protocol: scorer.result() for protocol, scorer in score(predictions).items()}


def _line(request: Request, slices: list[Slice], attempts: dict[str, Retrieval]) -> dict[str, Any]:
    """One request's prediction line from the last attempt at it, or at each of its slices (whose
    tokens' log-probabilities then follow each other)."""
    tried = [attempts.get(part.request.id) for part in slices]
    failures = {
        attempt.failure.kind: attempt.failure.message for attempt in tried if attempt and attempt.failure
    }
    texts = [attempt.text or "" if attempt else "" for attempt in tried]
    ours: dict[str, Any] = {"failures": failures, **({"unasked": True} if None in tried else {})}
    for name in ("prompt_tokens", "output_tokens", "seconds"):
        values = [getattr(attempt, name) for attempt in tried if attempt]
        if values and None not in values:
            ours[name] = sum(values)
    tokens = [token for attempt in tried if attempt for token in attempt.logprobs or ()]
    if len(slices) == 1:
        return with_logprobs(prediction_line(request, texts[0], ours), tokens)
    total = len(request.dialogue.images)
    answers = [Answer(text, part.images, total) for text, part in zip(texts, slices, strict=True)]
    return with_logprobs(merged_line(request, answers, ours), tokens)
