"""One model on one task: ask what is unanswered, keep every answer, derive the scores."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from f2rcli.adapters.registry import ModelRow
from f2rcli.adapters.retriever import Retriever
from f2rcli.results.derive import derive
from f2rcli.results.provenance import software
from f2rcli.results.runs import RunFolder
from f2rcli.results.selection import Selection
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.slicing import slice_request
from f2rcli.tasks.types import Failure, Request, Retrieval

Progress = Callable[[int, int], None]


def evaluate(
    row: ModelRow,
    retriever: Retriever,
    selection: Selection,
    out: Path,
    on_progress: Progress = lambda done, total: None,
) -> RunFolder:
    """Run (or resume) and derive. Every answer is on disk before the next is asked for.

    Raises InputError if the data cannot be used or another process writes the run.
    """
    requests = selection.requests
    if retriever.uses_images:
        requests = [selection.task.with_images(request) for request in requests]
    identity = {
        "model": {**row.identity(), **retriever.identity()},
        **selection.identity(),
        "images": _images_digest(requests) if retriever.uses_images else None,
        "max_turns": retriever.max_turns,
    }
    run = RunFolder.place(out, selection.task.name, row.name, identity)
    description = {
        "model": {"name": row.name, "kind": row.kind, "trained": row.trained, "about": row.about},
        "settings": row.settings,
        **selection.describe(),
        "identity": identity,
    }
    with run.locked():
        run.begin(description, {**software(), **retriever.environment()})
        run.repair()
        _ask(run, retriever, requests, on_progress)
        derive(run, selection.requests, retriever.max_turns)
        run.finish()
    return run


def _ask(run: RunFolder, retriever: Retriever, requests: list[Request], on_progress: Progress) -> None:
    units = {
        part.request.id: part.request
        for request in requests
        for part in slice_request(request, retriever.max_turns)
    }
    answered = run.attempts().keys() - run.errors().keys()
    pending = {unit: request for unit, request in units.items() if unit not in answered}
    if not pending:
        return
    asked = [request if retriever.sees_gold else request.without_gold() for request in pending.values()]
    done = len(units) - len(pending)
    on_progress(done, len(units))
    with run.appending() as answers:
        for retrieval in retriever.retrieve(asked):
            if retrieval.request not in pending:
                raise InputError(
                    f"{type(retriever).__name__} answered {retrieval.request!r}, which is not asked"
                )
            del pending[retrieval.request]
            answers.append(_checked(retrieval))
            done += 1
            on_progress(done, len(units))
        for unit in pending:
            answers.append(Retrieval(unit, failure=Failure("error", "the model gave no answer")))


def _checked(retrieval: Retrieval) -> Retrieval:
    """An attempt without text needs a reason; `truncated` alone is none."""
    if retrieval.text is None and retrieval.failure is None:
        return replace(retrieval, failure=Failure("error", "neither text nor a failure"))
    return retrieval


def _images_digest(requests: list[Request]) -> str:
    """SHA-256 over the content of every picture that is asked about."""
    files = dict.fromkeys(
        image.file for request in requests for image in request.dialogue.images if image.file
    )
    total = hashlib.sha256()
    for file in files:
        with Path(file).open("rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def rebuild(run: RunFolder) -> None:
    """Derive a run's files again from its answers and its data.

    Raises InputError if the data has gone or is no longer what was asked.
    """
    record = run.record()
    selection = Selection.of_record(record)
    with run.locked():
        derive(run, selection.requests, record["identity"]["max_turns"])
