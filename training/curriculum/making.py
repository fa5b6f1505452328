"""Making a curriculum: answers of the SFT model, or a file of them, and what is chosen by them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from f2rcli.adapters.registry import Settings, build, find_row, load_rows
from f2rcli.results.evaluate import Progress, evaluate
from f2rcli.results.provenance import software
from f2rcli.results.runs import PREDICTIONS, RunFolder
from f2rcli.results.selection import Selection
from f2rcli.results.writing import replacing
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.scoring import SYNTHETIC
from f2rcli.training.curriculum.difficulty import Curriculum
from f2rcli.training.curriculum.file import write_curriculum
from f2rcli.training.curriculum.measuring import Measured, measure
from f2rcli.training.curriculum.picture import scatter
from f2rcli.training.curriculum.recipe import CurriculumRecipe
from f2rcli.training.given import check_trained, training_task

FILE, PICTURE, RUN = "curriculum.jsonl", "curriculum.svg", "run"


@dataclass(frozen=True)
class Made:
    """A curriculum and its file; or none of them, and `unanswered` requests with the reasons."""

    curriculum: Curriculum | None = None
    file: Path | None = None
    notes: list[str] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)


def make(
    recipe: CurriculumRecipe,
    out: Path,
    data_root: Path | None = None,
    device: str | None = None,
    predictions: Path | None = None,
    note: Callable[[str], None] = lambda line: None,
    on_progress: Progress = lambda done, total: None,
) -> Made:
    """Write curriculum.jsonl and curriculum.svg; without `predictions`, ask the model first (or go on
    asking it), by the runner of `f2r eval`.

    Nothing is written while a request failed with an error: it would count as difficult. Raises
    InputError for whatever the recipe names and is not there or does not fit, for predictions that are
    not of its data, and if nothing is left to train on.
    """
    task = training_task(recipe.data, data_root)
    selection = Selection.of(task, recipe.requests, recipe.seed or 0)
    whole = selection if selection.limit is None else Selection.of(task, None, 0)
    run = None
    if predictions is None:
        run = _asked(recipe, selection, out / RUN, device, note, on_progress)
        if errors := run.errors():
            return Made(unanswered=errors)
        predictions = run.path / PREDICTIONS
    measured = measure(predictions, selection)
    curriculum = Curriculum(measured.samples)
    if not any(curriculum.kept.values()):
        raise InputError(
            "nothing is left to train on: every sample is easy or middle, and matches nothing",
            where=str(task.path),
        )
    out.mkdir(parents=True, exist_ok=True)
    origin = _origin(recipe, whole, run, predictions, measured, curriculum)
    synthetic = all(SYNTHETIC in request.shares for request in selection.requests)
    part = "" if selection is whole else f"{len(selection.requests)} of "
    title = f"{task.name}, {part}{len(whole.requests)} requests" + ", synthetic" * synthetic
    with replacing(out / PICTURE) as file:
        file.write(scatter(title, curriculum))
    write_curriculum(out / FILE, origin, curriculum)
    return Made(curriculum, out / FILE, [f"{title}, published protocol", *_remarks(measured)])


def _asked(
    recipe: CurriculumRecipe,
    selection: Selection,
    out: Path,
    device: str | None,
    note: Callable[[str], None],
    on_progress: Progress,
) -> RunFolder:
    row = find_row(recipe.base, load_rows())
    if row.kind != "transformers":
        raise InputError(
            f"base {recipe.base!r} is no checkpoint",
            fix="`f2r models` lists them; hf:PATH is any",
        )
    if recipe.adapter:
        check_trained(recipe.adapter)
        row = row.adapted(recipe.adapter)
    check_trained(row.settings["checkpoint"])
    note(f"{row.name}: loading its checkpoint")
    settings = Settings(
        adapter=recipe.adapter,
        dtype=recipe.precision,
        device=device,
        batch_size=recipe.batch_size,
        max_pixels=recipe.max_pixels,
        logprobs=True,
    )
    return evaluate(row, build(row, settings), selection, out, on_progress)


def _origin(
    recipe: CurriculumRecipe,
    whole: Selection,
    run: RunFolder | None,
    predictions: Path,
    measured: Measured,
    curriculum: Curriculum,
) -> dict[str, Any]:
    """Where a curriculum came from. Without times: made again of the same, it is the same file."""
    asked = None
    if run:
        record = run.record()
        environment = record["sessions"][-1]["environment"]
        asked = {name: record[name] for name in ("model", "settings", "identity")}
        asked |= {"path": str(run.path), "environment": environment}
    return {
        "recipe": asdict(recipe),
        "data": {**whole.identity(), "task": whole.describe()["task"]},
        "predictions": {"path": str(predictions.resolve()), "digest": file_digest(predictions)},
        "run": asked,
        "quartiles": asdict(curriculum.quartiles),
        "samples": {
            difficulty: {"before": len(samples), "kept": len(curriculum.kept[difficulty])}
            for difficulty, samples in curriculum.classes.items()
        },
        "failures": measured.failures,
        "without_logprobs": measured.without_logprobs,
        "software": software(),
    }


def _remarks(measured: Measured) -> list[str]:
    """Whatever keeps F1 and entropy from speaking for themselves."""
    told = []
    if measured.failures:
        counted = ", ".join(f"{n} {kind}" for kind, n in sorted(measured.failures.items()))
        told.append(f"failures: {counted}; scored by what was readable")
    if measured.without_logprobs:
        told.append(f"{measured.without_logprobs} answers without log-probabilities: entropy 10")
    return told
