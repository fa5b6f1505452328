"""f2r score"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from f2rcli.results.selection import Selection
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
@click.option(
    "--encoder",
    metavar="NAME",
    help="Measures relevance and coherence: a name, hf:PATH or none. Default: the run's own; none for "
    "a bare prediction file.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Where a bare file's image paths start from, beside its own folder (or F2R_DATA).",
)
@click.option("--allow-outside-images", is_flag=True, help="Let its image paths leave these folders.")
def command(
    files: tuple[Path, ...],
    protocol: "Protocol | None",
    average: "Average",
    json_to: str | None,
    shares: bool,
    encoder: str | None,
    data_root: Path | None,
    allow_outside_images: bool,
) -> None:
    """Score prediction files (ours or the authors' format) or run folders, without any model.

    For a run folder, its predictions.jsonl and scores.json are made again from its answers.
    """
    from f2rcli.results.derive import measured_predictions
    from f2rcli.results.render import console, print_scores, print_shares
    from f2rcli.results.runs import RunFolder
    from f2rcli.results.show import prediction_file
    from f2rcli.results.writing import write_json
    from f2rcli.tasks.scoring import score, score_shares

    if json_to and Path(json_to).resolve() in [file.resolve() for file in files]:
        raise click.UsageError("--json is a file that is to be scored")
    results, by_share, reasons = {}, {}, dict[str, None]()
    for file in files:
        if RunFolder.is_one(file):
            chosen, selection = _rebuilt(file, protocol, encoder)
        else:
            chosen = protocol or "published"
            selection = _answered(file, encoder, data_root, allow_outside_images)
        if selection and selection.unmeasured:
            reasons[selection.unmeasured] = None
        path = prediction_file(file)
        predictions = _noting(file, measured_predictions(path, selection))
        results[str(file)] = score(predictions)[chosen].result(average)
        if shares:
            found = by_share[str(file)] = score_shares(measured_predictions(path, selection), chosen)
            parts = {share: {**s.result(average), "exact": s.exact} for share, s in found.items()}
            results[str(file)]["shares"] = parts
    for reason in reasons:
        click.echo(f"f2r: {reason}", err=True)
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


def _rebuilt(
    folder: Path, protocol: "Protocol | None", encoder: str | None
) -> "tuple[Protocol, Selection | None]":
    """A run made again: the protocol to score by, and its data, if that is still what it was."""
    from f2rcli.results.evaluate import rebuild
    from f2rcli.results.runs import RunFolder
    from f2rcli.tasks.errors import InputError
    from f2rcli.tasks.similarity import NO_ENCODER

    run = RunFolder(folder)
    rebuilt = rebuild(run, lambda selection: _measured(folder, selection, encoder))
    if rebuilt.reason:
        if encoder not in (None, NO_ENCODER):
            raise InputError(f"nothing to embed: {rebuilt.reason}", where=str(folder))
        how = f"scored from predictions.jsonl as it is ({rebuilt.reason})"
        click.echo(f"f2r: {folder}: {how}", err=True)
    return protocol or run.record()["task"]["protocol"], rebuilt.selection


def _answered(
    file: Path, encoder: str | None, data_root: Path | None, allow_outside: bool
) -> "Selection | None":
    """What a bare prediction file answers, where an encoder is to look at it."""
    from f2rcli.results.selection import Selection
    from f2rcli.tasks.datasets import load_task
    from f2rcli.tasks.similarity import NO_ENCODER

    if encoder in (None, NO_ENCODER):
        return None
    task = load_task(str(file.resolve()), data_root, allow_outside=allow_outside)
    return _measured(file, Selection.of(task, None, 0), encoder)


def _measured(file: Path, selection: "Selection", encoder: str | None) -> "Selection":
    from f2rcli.progress import Reporter
    from f2rcli.results.measuring import measured

    with Reporter(quiet=False).run(f"embedding {file}") as progress:
        return measured(selection, encoder, on_progress=progress)


def _noting(file: Path, predictions: "Iterator[Prediction]") -> "Iterator[Prediction]":
    """Says so where lines are parts of dialogues, whose scores are not those of the dialogues, and
    where they answer requests that a probe changed."""
    from f2rcli.tasks.merging import is_slice

    slices, probes = 0, set()
    for prediction in predictions:
        slices += is_slice(prediction.dialogue_id)
        probes |= {prediction.probe} if prediction.probe else set()
        yield prediction
    for probe in sorted(probes):
        click.echo(f"f2r: {file}: under the probe {probe}", err=True)
    if slices:
        line = f"f2r: {file}: {slices} lines are slices; `f2r data merge` puts them together"
        click.echo(line, err=True)
