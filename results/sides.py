"""Reading one side of a comparison: a run folder, a prediction file or a baseline."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from f2rcli.results.baseline import is_baseline, read_baseline
from f2rcli.results.evaluate import rebuild
from f2rcli.results.outcomes import Side, short_digest, side_of_file
from f2rcli.results.runs import PREDICTIONS, RunFolder
from f2rcli.tasks.errors import InputError


def read_side(path: Path) -> Side:
    """Raises InputError for what is none of the three, or cannot be used."""
    if RunFolder.is_one(path):
        return _side_of_run(RunFolder(path))
    if path.is_dir():
        fix = "give a run folder, a prediction file or a baseline"
        raise InputError("a folder without run.json", where=str(path), fix=fix)
    return read_baseline(path) if is_baseline(path) else side_of_file(path)


def _side_of_run(run: RunFolder) -> Side:
    """Of a run that was stopped, the predictions are made first of the answers that it has."""
    record = run.record()
    interrupted = record["finished"] is None
    if interrupted or not (run.path / PREDICTIONS).is_file():
        rebuild(run)
    side = side_of_file(run.path / PREDICTIONS)
    task, identity, probe = record["task"], record["identity"], record.get("probe")
    settings = {**identity["model"], "max_turns": identity["max_turns"]}
    return replace(
        side,
        name=record["model"]["name"] + (f", probe {probe['name']}" if probe else ""),
        source=run.path,
        protocol=task["protocol"],
        task=task["name"],
        settings={name: short_digest(value) for name, value in leaves(settings)},
        data=probe["origin"] if probe else identity["data"],
        probe=probe["name"] if probe else "",
        images=identity["images"],
        notes=(*side.notes, *([f"{run.path} was interrupted"] if interrupted else [])),
    )


def leaves(settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
