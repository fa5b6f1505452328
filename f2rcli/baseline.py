"""f2r baseline"""

from pathlib import Path

import click


@click.command("baseline")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def command(run: Path, out: Path) -> None:
    """Keep what a run came to in a small file, for `f2r compare FILE NEW --gate`.

    RUN is a run folder or a prediction file. The file has counts, failures and digests, and no word
    and no picture of the data: it can be committed to a repository.
    """
    from f2rcli.results.baseline import write_baseline
    from f2rcli.results.compare import failures_of
    from f2rcli.results.runs import ANSWERS, PREDICTIONS, RECORD, SCORES
    from f2rcli.results.sides import read_side

    files = ("", RECORD, ANSWERS, PREDICTIONS, SCORES)
    if out.resolve() in [(run / name).resolve() for name in files]:
        raise click.UsageError("--out is a file of the run itself")
    side = read_side(run)
    write_baseline(side, out)
    counted = failures_of(sample.outcomes[side.protocol] for sample in side.samples)
    failed = "".join(f", {n} {kind}" for kind, n in counted.items() if n)
    click.echo(f"{out}: {side.name}, {len(side.samples)} requests, {side.protocol} protocol{failed}")
    for note in side.notes:
        click.echo(f"f2r: {note}", err=True)
