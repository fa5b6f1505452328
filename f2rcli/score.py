"""f2r score"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from f2rcli.tasks.predictions import Prediction
    from f2rcli.tasks.scoring import Average, Protocol


@click.command("score")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Choice(["published", "strict"]),
    help="Default: the run's task's own; published for a bare prediction file.",
)
@click.option("--average", type=click.Choice(["micro", "macro"]), default="micro", show_default=True)
@click.option(
    "--json", "json_to", metavar="FILE", help="Write the scores as JSON; - is standard output."
)
def command(
    files: tuple[Path, ...], protocol: "Protocol | None", average: "Average", json_to: str | None
) -> None:
    """Score prediction files (ours or the authors' format) or run folders, without any model.

    For a run folder, its predictions.jsonl and scores.json are made again from its answers.
    """
    from f2rcli.results.render import console, print_scores
    from f2rcli.results.writing import write_json

    if json_to and Path(json_to).resolve() in [file.resolve() for file in files]:
        raise click.UsageError("--json is a file that is to be scored")
    results = {str(file): _score(file, protocol, average) for file in files}
    written: Any = results if len(results) > 1 else next(iter(results.values()))
    if json_to == "-":
        click.echo(json.dumps(written, ensure_ascii=False, indent=2))
        return
    if json_to:
        write_json(Path(json_to), written)
    print_scores(results, console())


def _score(file: Path, protocol: "Protocol | None", average: "Average") -> dict[str, Any]:
    from f2rcli.results.evaluate import rebuild
    from f2rcli.results.runs import PREDICTIONS, RunFolder
    from f2rcli.tasks.errors import InputError
    from f2rcli.tasks.predictions import read_predictions
    from f2rcli.tasks.scoring import score

    chosen: Protocol = protocol or "published"
    if RunFolder.is_one(file):
        run = RunFolder(file)
        if reason := rebuild(run):
            click.echo(f"f2r: {file}: scored from predictions.jsonl as it is ({reason})", err=True)
        chosen = protocol or run.record()["task"]["protocol"]
        file = file / PREDICTIONS
    elif file.is_dir():
        raise InputError("a folder without run.json", where=str(file), fix="give runs or files")
    return score(_noting_slices(file, read_predictions(file)))[chosen].result(average)


def _noting_slices(file: Path, predictions: "Iterator[Prediction]") -> "Iterator[Prediction]":
    """Says so where lines are parts of dialogues, whose scores are not those of the dialogues."""
    from f2rcli.tasks.merging import is_slice

    slices = 0
    for prediction in predictions:
        slices += is_slice(prediction.dialogue_id)
        yield prediction
    if slices:
        line = f"f2r: {file}: {slices} lines are slices; `f2r data merge` puts them together"
        click.echo(line, err=True)
