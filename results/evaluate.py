"""One model on one task: ask what is unanswered, keep every answer, derive the scores."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from f2rcli.adapters.registry import ModelRow
from f2rcli.adapters.retriever import Retriever
from f2rcli.results.derive import derive
from f2rcli.results.provenance import software
from f2rcli.results.runs import RunFolder
from f2rcli.tasks.datasets import Task, file_digest, subsample
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.slicing import slice_request
from f2rcli.tasks.types import Failure, Request, Retrieval, digest

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """The requests of a run, and how they were chosen from their task."""

    task: Task
    requests: list[Request]
    limit: int | None
    seed: int

    @classmethod
    def of(cls, task: Task, limit: int | None, seed: int) -> "Selection":
        """Reads the task's file. Raises InputError at the first unusable record."""
        return cls(task, subsample(list(task.requests()), limit, seed), limit, seed)

    def digest(self) -> str:
        """Identity of what is asked: dialogues, queries, prompts and gold, in order."""
        return digest([[request.id, request.digest] for request in self.requests])

    def describe(self) -> dict[str, Any]:
        task = self.task
        return {
            "name": task.name,
            "title": task.title,
            "protocol": task.protocol,
            "path": str(task.path.resolve()),
            "image_folders": [str(folder.resolve()) for folder in task.images.folders],
            "allow_outside_images": task.images.allow_outside,
            "file_digest": file_digest(task.path),
            "digest": self.digest(),
            "requests": len(self.requests),
            "limit": self.limit,
            "seed": self.seed,
        }


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
        "model": {"kind": row.kind, **retriever.identity()},
        "requests": selection.digest(),
        "images": _images_digest(requests) if retriever.uses_images else None,
        "max_turns": retriever.max_turns,
    }
    run = RunFolder.place(out, selection.task.name, row.name, identity)
    template = selection.task.template
    description = {
        "model": {"name": row.name, "kind": row.kind, "trained": row.trained, "about": row.about},
        "settings": row.settings,
        "task": selection.describe(),
        "prompt": asdict(template) if template else None,
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
    answered = {
        unit
        for unit, attempt in run.attempts().items()
        if not (attempt.failure and attempt.failure.kind == "error")
    }
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
    described, prompt = record["task"], record["prompt"]
    folders = tuple(Path(folder) for folder in described["image_folders"])
    task = Task(
        described["name"],
        described["title"],
        described["protocol"],
        Path(described["path"]),
        ImageFolder(folders, described["allow_outside_images"]),
        PromptTemplate(**prompt) if prompt else None,
    )
    selection = Selection.of(task, described["limit"], described["seed"])
    if selection.digest() != described["digest"]:
        raise InputError(
            "the data has changed since the run", where=str(task.path), fix="evaluate it again"
        )
    with run.locked():
        derive(run, selection.requests, record["identity"]["max_turns"])
