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
@click.option(
    "--shares", is_flag=True, help="Also by the shares that the data names (language, kind of query)."
)
def command(
    files: tuple[Path, ...],
    protocol: "Protocol | None",
    average: "Average",
    json_to: str | None,
    shares: bool,
) -> None:
    """Score prediction files (ours or the authors' format) or run folders, without any model.

    For a run folder, its predictions.jsonl and scores.json are made again from its answers.
    """
    from f2rcli.results.render import console, print_scores, print_shares
    from f2rcli.results.writing import write_json
    from f2rcli.tasks.predictions import read_predictions
    from f2rcli.tasks.scoring import score, score_shares

    if json_to and Path(json_to).resolve() in [file.resolve() for file in files]:
        raise click.UsageError("--json is a file that is to be scored")
    results, by_share = {}, {}
    for file in files:
        chosen, path = _located(file, protocol)
        results[str(file)] = score(_noting_slices(file, read_predictions(path)))[chosen].result(average)
        if shares:
            found = by_share[str(file)] = score_shares(read_predictions(path), chosen)
            parts = {share: {**s.result(average), "exact": s.exact} for share, s in found.items()}
            results[str(file)]["shares"] = parts
    written: Any = results if len(results) > 1 else next(iter(results.values()))
    if json_to == "-":
        click.echo(json.dumps(written, ensure_ascii=False, indent=2))
        return
    if json_to:
        write_json(Path(json_to), written)
    print_scores(results, console())
    for name, found in by_share.items():
        if found:
            click.echo()
            print_shares(found, average, console())
        else:
            click.echo(f"f2r: {name}: its data names no shares", err=True)


def _located(file: Path, protocol: "Protocol | None") -> "tuple[Protocol, Path]":
    """The protocol to score by, and the prediction file: of a run folder, the one it has or gets."""
    from f2rcli.results.evaluate import rebuild
    from f2rcli.results.runs import PREDICTIONS, RunFolder
    from f2rcli.tasks.errors import InputError

    if RunFolder.is_one(file):
        run = RunFolder(file)
        if reason := rebuild(run):
            click.echo(f"f2r: {file}: scored from predictions.jsonl as it is ({reason})", err=True)
        return protocol or run.record()["task"]["protocol"], file / PREDICTIONS
    if file.is_dir():
        raise InputError("a folder without run.json", where=str(file), fix="give runs or files")
    return protocol or "published", file


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
