"""f2r report"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from f2rcli.tasks.scoring import Protocol


@click.command("report")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The page to write.")
@click.option(
    "--against", metavar="NAME", help="The model that others are compared with. Default: the first run."
)
@click.option("--protocol", type=click.Choice(["published", "strict"]), help="Default: the task's own.")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Where pictures are, if not where the run found them (or F2R_DATA).",
)
def command(
    runs: tuple[Path, ...],
    out: Path,
    against: str | None,
    protocol: "Protocol | None",
    data_root: Path | None,
) -> None:
    """Write runs as one HTML page: scores, plots, and every sample to look at.

    RUNS are run folders, folders of them (./runs) or prediction files. The page holds the chats and
    thumbnails of their pictures.
    """
    from f2rcli.results.report.page import render_page
    from f2rcli.results.report.sections import read_sections
    from f2rcli.results.writing import replacing

    sections, notes = read_sections(runs or (Path("runs"),), protocol, against)
    shown = [file for section in sections for column in section.columns for file in column.files]
    if out.resolve() in [file.resolve() for file in shown]:
        raise click.UsageError("--out is a file that is to be shown")
    page = render_page(sections, notes, data_root)
    with replacing(out) as file:
        file.write(page)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
