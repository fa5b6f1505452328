"""f2r table"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from f2rcli.results.layouts import Layout
    from f2rcli.tasks.scoring import Protocol


@click.command("table")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(["main", "modality", "length", "coherence", "ablation", "failures"]),
    default="main",
    show_default=True,
    help="Which numbers.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["rich", "latex", "markdown", "csv", "json"]),
    default="rich",
    show_default=True,
    help="How they are drawn.",
)
@click.option("--protocol", type=click.Choice(["published", "strict"]), help="Default: the task's own.")
@click.option(
    "--against",
    metavar="ROW",
    help="Mark what differs significantly from this row; the full model of an ablation.",
)
@click.option(
    "--fold",
    "folds",
    multiple=True,
    metavar="NAME=GLOB",
    help="Rows that match GLOB are seeds of one model: their mean ± sd. May be given several times.",
)
@click.option("--no-published", is_flag=True, help="Leave published numbers out.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write to this file.")
def command(
    runs: tuple[Path, ...],
    layout: "Layout",
    form: str,
    protocol: "Protocol | None",
    against: str | None,
    folds: tuple[str, ...],
    no_published: bool,
    out: Path | None,
) -> None:
    """Print runs as a table, models × tasks. RUNS are run folders or folders of them (./runs)."""
    import contextlib
    import sys

    from f2rcli.results.folding import fold
    from f2rcli.results.formats.drawing import draw
    from f2rcli.results.layouts import TESTED, WITH_PUBLISHED, lay_out, overview
    from f2rcli.results.runs import RunFolder
    from f2rcli.results.significance import compare_rows
    from f2rcli.results.tables import build_table, find_runs
    from f2rcli.results.writing import replacing

    if against is not None and layout not in TESTED:
        raise click.UsageError(f"--against is for the layouts {', '.join(TESTED)}")
    if out and RunFolder.is_one(out.parent):
        raise click.UsageError("--out is inside a run folder")
    found = find_runs(runs or (Path("runs"),))
    table = build_table(found, protocol, published=not no_published and layout in WITH_PUBLISHED)
    fold(table, folds)
    tests = None if against is None else compare_rows(table, against)
    sheet = (overview if form == "rich" else lay_out)(table, layout, tests)
    with replacing(out) if out else contextlib.nullcontext(sys.stdout) as file:
        draw(sheet, form, tests, file)
    for note in sheet.all_notes() if form == "csv" else ():
        click.echo(note, err=True)
