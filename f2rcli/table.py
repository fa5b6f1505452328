"""f2r table"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from f2rcli.tasks.scoring import Protocol


@click.command("table")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--protocol", type=click.Choice(["published", "strict"]), help="Default: the task's own.")
@click.option("--modality", is_flag=True, help="Also tables of utterances and of images.")
@click.option("--no-published", is_flag=True, help="Leave published numbers out.")
def command(
    runs: tuple[Path, ...], protocol: "Protocol | None", modality: bool, no_published: bool
) -> None:
    """Print runs as a table, models × tasks. RUNS are run folders or folders of them (./runs)."""
    from f2rcli.results.render import console, print_table
    from f2rcli.results.tables import build_table, find_runs

    table = build_table(find_runs(runs or (Path("runs"),)), protocol, published=not no_published)
    parts = ("joint", "utterance", "image") if modality else ("joint",)
    print_table(table, parts, console())
