"""One model on one task: ask what is unanswered, keep every answer, derive the scores."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from f2rcli.adapters.registry import ModelRow
from f2rcli.adapters.retriever import Retriever
from f2rcli.results.cautions import cautions
from f2rcli.results.derive import derive, rescore
from f2rcli.results.processes import Processes
from f2rcli.results.provenance import software
from f2rcli.results.runs import PREDICTIONS, RunFolder, flaw_of
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
    processes: Processes | None = None,
) -> RunFolder:
    """Run (or resume) and derive. Every answer is on disk before the next is asked for.

    Several `processes` each call this with their own copy of the retriever and ask a share; the first
    writes the rest, and what the others get back it may still be writing. Raises InputError if the data
    cannot be used or another command writes the run, and UnfinishedError if the retriever stops before
    the end.
    """
    processes = processes or Processes()
    if retriever.uses_images:
        selection = selection.with_images()
    identity = _as_json(
        {
            "model": {"kind": row.kind, **retriever.identity()},
            **selection.identity(),
            "images": selection.images_digest() if retriever.uses_images else None,
            "max_turns": retriever.max_turns,
        },
        row.name,
    )
    name = f"{row.name}-{selection.probe.name}" if selection.probe else row.name
    run = RunFolder.place(out, selection.task.name, name, identity)
    trained = "reference" if retriever.sees_gold else row.trained
    description = {
        "model": {"name": row.name, "kind": row.kind, "trained": trained, "about": row.about},
        "settings": row.settings,
        **selection.describe(retriever.uses_images),
        "identity": identity,
        "cautions": cautions(row, retriever, selection),
    }
    with run.locked() if processes.first else contextlib.nullcontext():
        if processes.first:
            # first: who refuses to go on leaves the run as it was
            retriever.recall(run.every_attempt())
            count = {"processes": processes.count}
            run.begin(description, {**software(), **retriever.environment(), **count})
            run.repair()
        processes.wait()
        if not run.is_one(run.path):
            raise InputError(
                "is not the folder that the first process writes",
                where=str(run.path),
                fix="all need the same data and checkpoint, and an --out that each of them sees",
            )
        _ask(run, row.name, retriever, selection.requests, on_progress, processes)
        if processes.first:
            run.repair()
            derive(run, selection.requests, retriever.max_turns, selection.vectors)
            run.finish()
    return run


def _ask(
    run: RunFolder,
    name: str,
    retriever: Retriever,
    requests: list[Request],
    on_progress: Progress,
    processes: Processes,
) -> None:
    """This process's share of what is open. The first is back when all are through."""
    units = {
        part.request.id: part.request
        for request in requests
        for part in slice_request(request, retriever.max_turns)
    }
    attempts = run.attempts()
    pending = {
        unit: request for unit, request in units.items() if unit not in attempts or attempts[unit].failed
    }
    if not pending:
        return
    done, total = len(units) - len(pending), len(units)
    own = processes.share(pending.values())
    processes.wait()  # none writes before all have read what is open
    on_progress(done, total)
    with run.appending(processes.index) as answers:
        unanswered = {request.id for request in own}
        asked = [request if retriever.sees_gold else request.without_gold() for request in own]
        for retrieval in retriever.retrieve(asked) if asked else ():
            if flaw := flaw_of(retrieval, unanswered):
                raise InputError(f"{name} yielded {flaw}")
            unanswered.remove(retrieval.request)
            if retrieval.text is None and retrieval.failure is None:
                nothing = Failure("error", "neither text nor a failure")
                retrieval = replace(retrieval, failure=nothing)
            answers.append(retrieval)
            on_progress(done + processes.answered(), total)
        for request in own:
            if request.id in unanswered:
                answers.append(
                    Retrieval(request.id, failure=Failure("error", "the model gave no answer"))
                )
    processes.end(lambda answered: on_progress(done + answered, total))


def _as_json(identity: dict[str, Any], name: str) -> dict[str, Any]:
    """As it will be read again from run.json. Raises InputError for what JSON cannot hold."""
    try:
        return dict(json.loads(json.dumps(identity, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise InputError(f"identity() of {name} is not JSON: {error}") from None


class Rebuilt(NamedTuple):
    """What a run's files were made of: its data as a selection, or for a `reason` the predictions."""

    selection: Selection | None
    reason: str | None = None


def rebuild(
    run: RunFolder, measured: Callable[[Selection], Selection] = lambda selection: selection
) -> Rebuilt:
    """Derive a run's files again from its answers and its data.

    `measured` adds the vectors that relevance and coherence are measured by. Where the data has gone
    or changed, the scores are made from predictions.jsonl as it is, and nothing is measured. Raises
    InputError if there is neither.
    """
    record = run.record()
    with run.locked():
        run.repair()
        try:
            selection = Selection.of_record(record)
        except InputError as error:
            if not (run.path / PREDICTIONS).is_file():
                raise
            rescore(run)
            return Rebuilt(None, str(error))
        selection = measured(selection)
        derive(run, selection.requests, record["identity"]["max_turns"], selection.vectors)
    return Rebuilt(selection)
