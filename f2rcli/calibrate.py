"""f2r calibrate"""

from pathlib import Path

import click


@click.command("calibrate")
@click.option("-m", "--model", default="bm25", show_default=True, help="A retriever with a cut-off.")
@click.option("-t", "--task", required=True, help="Training or validation data: a task or a file.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Where data lies (or F2R_DATA).")
@click.option("--name", required=True, help="Name of the new model row.")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Registry file to write; use it with `f2r eval --registry`.",
)
def command(model: str, task: str, data_root: Path | None, name: str, out: Path) -> None:
    """Choose a retriever's cut-off on data that is not the test's, and keep it as a model row."""
    from f2rcli.adapters.calibrate import calibrated_row, write_row
    from f2rcli.adapters.registry import find_row, load_rows
    from f2rcli.tasks.datasets import load_task

    row, chosen = calibrated_row(find_row(model, load_rows()), load_task(task, data_root), name)
    write_row(out, row)
    click.echo(
        f"cut-off {chosen.value:.2f}: strict joint F1 {100 * chosen.f1:.2f} % on {chosen.requests} "
        f"requests; row {name!r} is in {out}"
    )
