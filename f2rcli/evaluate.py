"""f2r eval"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from f2rcli import EXIT_UNANSWERED, api, chosen, unanswered, unused
from f2rcli.typed import BatchSize, ListCommand

if TYPE_CHECKING:
    from f2rcli.adapters.registry import ModelRow, Settings
    from f2rcli.progress import Reporter
    from f2rcli.results.processes import Processes
    from f2rcli.results.runs import RunFolder
    from f2rcli.results.selection import Selection


@click.command("eval", cls=ListCommand)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="MODEL…",
    help="Names from `f2r models`, hf:PATH, embed:PATH, openai:NAME, anthropic:NAME, or file.py:Class; "
    "several may follow.",
)
@click.option(
    "-t",
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK…",
    help="Names from `f2r tasks`, NAME=FILE, or a file. Default: mldr wechat.",
)
@click.option("--data-root", type=click.Path(path_type=Path), help="Where data lies (or F2R_DATA).")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where run folders go.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="A deterministic subsample of so many requests."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="For --limit, --probe and the random row."
)
@click.option(
    "--prompt", help="en, zh or a file with {query} and {dialogue}, instead of the recorded one."
)
@click.option(
    "--prompt-from",
    type=click.Path(path_type=Path),
    help="Take the prompt of this file's first record.",
)
@click.option(
    "--probe",
    type=click.Choice(["shuffle-image-ids", "blank-images", "text-only", "shuffle-turns"]),
    help="Change the requests, and the gold answer with them, to see what a score rests on.",
)
@click.option("--registry", type=click.Path(path_type=Path), help="Model rows of your own (TOML).")
@click.option("--adapter", help="A LoRA adapter over the model's checkpoint.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with a checkpoint.")
@click.option("--device", help="cpu, cuda, cuda:1 …, or auto: over all GPUs.")
@click.option("--dtype", help="auto, float32, bfloat16 or float16.")
@click.option(
    "--batch-size",
    type=BatchSize(),
    default="auto",
    show_default=True,
    help="Requests at once, at most, or auto: what memory holds.",
)
@click.option("--exact", is_flag=True, help="One request at a time, plainly (docs/engine.md).")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=784),
    help="Pixels an image, where the architecture has a limit (Qwen's) and to APIs. Default: 602112.",
)
@click.option("--max-new-tokens", type=click.IntRange(min=1), help="Default: from the dialogue's ids.")
@api.options
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    metavar="K",
    help="An embedding model takes the K nearest utterances and K nearest images, not by thresholds.",
)
@click.option(
    "--encoder",
    metavar="NAME",
    help="Measures relevance and coherence: a name, hf:PATH or none. Default: the task's own.",
)
@click.option("--allow-outside-images", is_flag=True, help="Let image paths leave the data's folder.")
@click.option("--modality", is_flag=True, help="Also tables of utterances and of images.")
@click.option("--quiet", is_flag=True, help="No progress; warnings only.")
def command(models: tuple[str, ...], tasks: tuple[str, ...], **options: Any) -> int:
    """Run models on tasks and print a table.

    Each model on each task is a run folder under --out. The same command resumes what was
    interrupted and asks again only what failed with an error. Several GPUs:
    `accelerate launch --num_processes N -m f2rcli eval …`.
    """
    from f2rcli.progress import Reporter
    from f2rcli.results.layouts import overview
    from f2rcli.results.processes import launched
    from f2rcli.results.render import console, print_sheet
    from f2rcli.results.tables import build_table

    processes = launched()
    rows = _rows(models, options)
    unused.refuse_unused(
        (row.kind for row in rows), but=() if options["encoder"] == "none" else ("device",)
    )
    rows = api.prepare(rows, options)
    processes.check(rows, options["device"])
    reporter = Reporter(quiet=options["quiet"], silent=not processes.first)
    options["note"] = reporter.note
    selections = chosen.selections_of(tasks or chosen.default_tasks(options, reporter), options)
    for selection in selections:
        if selection.warnings:
            odd = f"{len(selection.warnings)} oddities, such as {selection.warnings[0]}"
            reporter.note(f"{selection.task.name}: {odd}; `f2r data check` lists them")
    if options["dry_run"]:
        api.dry_run(rows, selections, _settings(options))
        return 0
    if processes.first:
        selections = chosen.measured_selections(selections, options, reporter)
    runs: list[RunFolder] = []
    for row in rows:
        runs += _run(row, selections, options, reporter, processes)
    if not processes.first:
        return 0
    sheet = overview(build_table(runs), "modality" if options["modality"] else "main")
    print_sheet(sheet, console())
    for run in runs:
        click.echo(f"run: {run.path}")
    for reason in dict.fromkeys(selection.unmeasured for selection in selections):
        if reason:
            reporter.note(reason)
    return EXIT_UNANSWERED if unanswered.tell(runs) else 0


def _rows(models: tuple[str, ...], options: dict[str, Any]) -> "list[ModelRow]":
    """The models' rows; one that gets --adapter says so in its name and its training."""
    from f2rcli.adapters.registry import find_row, load_rows

    known = load_rows(options["registry"])
    rows = [find_row(name, known) for name in dict.fromkeys(models)]
    embedding = [row for row in rows if row.kind == "embedding"]
    if options["top_k"] and not embedding:
        raise click.UsageError("--top-k needs a model of kind embedding")
    if embedding:  # before any other has run
        from f2rcli.adapters.embedding import choose_rule

        for row in embedding:
            choose_rule(row, options["top_k"])
    if not options["adapter"]:
        return rows
    if [row.kind for row in rows].count("transformers") != 1:
        raise click.UsageError("--adapter needs exactly one model that is a checkpoint")
    return [row.adapted(options["adapter"]) if row.kind == "transformers" else row for row in rows]


def _settings(options: dict[str, Any]) -> "Settings":
    from dataclasses import fields

    from f2rcli.adapters.registry import Settings

    names = {field.name for field in fields(Settings)}
    return Settings(**{name: value for name, value in options.items() if name in names})


def _run(
    row: "ModelRow",
    selections: "list[Selection]",
    options: dict[str, Any],
    reporter: "Reporter",
    processes: "Processes",
) -> "list[RunFolder]":
    """One model on every task; it is out of memory before the next is loaded."""
    import gc

    from f2rcli.adapters.registry import build
    from f2rcli.results.cautions import cautions
    from f2rcli.results.evaluate import evaluate

    if row.kind == "transformers":
        reporter.note(f"{row.name}: loading its checkpoint")
    with processes.first_goes_first():  # what is fetched would be written by all at once
        retriever = build(row, _settings(options))
    if retriever.uses_images:  # of every task before the first is asked
        selections = [selection.with_images() for selection in selections]
    runs = []
    for selection in selections:
        for caution in cautions(row, retriever, selection):
            reporter.warn(f"{row.name} on {selection.task.name}: {caution}")
        with reporter.run(f"{row.name} on {selection.task.name}") as progress:
            runs.append(evaluate(row, retriever, selection, options["out"], progress, processes))
    del retriever
    gc.collect()
    if row.kind in ("transformers", "embedding"):
        import torch

        torch.cuda.empty_cache()
    return runs
