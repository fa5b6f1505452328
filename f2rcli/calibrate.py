"""f2r calibrate"""

from pathlib import Path

import click

SAID = {
    "cutoff": "cut-off",
    "utterance_threshold": "threshold of utterances",
    "image_threshold": "threshold of images",
}
FORMAT = {"cutoff": ".2f", "utterance_threshold": ".6f", "image_threshold": ".6f"}


@click.command("calibrate")
@click.option(
    "-m",
    "--model",
    default="bm25",
    show_default=True,
    help="bm25, a row of kind embedding, or embed:PATH.",
)
@click.option("-t", "--task", required=True, help="Training or validation data: a task or a file.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Where data lies (or F2R_DATA).")
@click.option(
    "--limit", type=click.IntRange(min=1), help="A deterministic subsample of so many requests."
)
@click.option("--registry", type=click.Path(path_type=Path), help="Model rows of your own (TOML).")
@click.option("--device", help="cpu, cuda, cuda:1 …")
@click.option("--name", required=True, help="Name of the new model row.")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Registry file to write; use it with `f2r eval --registry`.",
)
def command(
    model: str,
    task: str,
    data_root: Path | None,
    limit: int | None,
    registry: Path | None,
    device: str | None,
    name: str,
    out: Path,
) -> None:
    """Choose a retriever's cut-off or thresholds on data that is not the test's, as a model row."""
    from f2rcli.adapters.calibrate import calibrated_row, check_new, write_row
    from f2rcli.adapters.registry import find_row, load_rows
    from f2rcli.progress import Reporter
    from f2rcli.tasks.datasets import load_task

    check_new(out)
    row, data = find_row(model, load_rows(registry)), load_task(task, data_root)
    reporter = Reporter(quiet=False)
    with reporter.run(f"{row.name} on {data.name}") as progress:
        made = calibrated_row(row, data, name, limit=limit, device=device, on_progress=progress)
    if data.tested:
        marked = f"tables will mark the scores of {name!r} on it"
        reporter.warn(f"{data.name} is what models are tested on: {marked}")
    write_row(out, made.row)
    chosen = ", ".join(f"{SAID[key]} {value:{FORMAT[key]}}" for key, value in made.chosen.items())
    click.echo(
        f"{chosen}: strict joint F1 {100 * made.f1:.2f} % on {made.requests} requests; "
        f"row {name!r} is in {out}"
    )
