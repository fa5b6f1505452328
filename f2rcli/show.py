"""f2r show"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from f2rcli.tasks.scoring import Protocol


@click.command("show")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("request_id", metavar="ID")
@click.option("--protocol", type=click.Choice(["published", "strict"]), help="How the answer is read.")
def command(run: Path, request_id: str, protocol: "Protocol | None") -> None:
    """Show one dialogue of a run or prediction file: what is gold, retrieved and missed.

    ID is a request's id, such as chat007:0, or its place in the file, counted from 0 (@12 where
    ids are numbers themselves).
    """
    from f2rcli.results.render import console
    from f2rcli.results.runs import RunFolder
    from f2rcli.results.show import find_prediction, prediction_file, show_prediction

    chosen: Protocol = protocol or "published"
    if RunFolder.is_one(run):
        chosen = protocol or RunFolder(run).record()["task"]["protocol"]
    line = find_prediction(prediction_file(run), request_id)
    show_prediction(line, chosen, console())
