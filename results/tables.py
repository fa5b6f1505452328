"""Tables of runs: which rows and columns there are. `layouts` chooses what is shown of them."""

import json
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from f2rcli.results.cells import defined
from f2rcli.results.evaluate import rebuild
from f2rcli.results.labels import labels, seed_notes, set_ups, task_keys
from f2rcli.results.rows import Row, Table
from f2rcli.results.runs import RECORD, SCORES, RunFolder
from f2rcli.results.usage import usage_notes
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.probes import Probe
from f2rcli.tasks.scoring import PROTOCOLS, Protocol

PUBLISHED = "† published in the F2RVLM paper, arXiv 2508.17714, on the authors' whole set; not run here"


def find_runs(paths: Iterable[Path]) -> list[RunFolder]:
    """The run folders among and below these paths, in the order in which they were started.

    Raises InputError for a path without any.
    """
    found: dict[Path, RunFolder] = {}
    for path in paths:
        records = sorted(path.rglob(RECORD)) if path.is_dir() else []
        if not records:
            raise InputError("no run folder here", where=str(path), fix="`f2r eval` makes them")
        found |= {record.parent: RunFolder(record.parent) for record in records}
    return sorted(found.values(), key=lambda run: str(run.record().get("started")))


def read_scores(run: RunFolder) -> dict[str, Any]:
    """scores.json, made again from the answers where a run was stopped before it was written."""
    path = run.path / SCORES
    if not path.is_file() or run.record()["finished"] is None:
        rebuild(run)
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        return {protocol: defined(_checked(scores[protocol])) for protocol in PROTOCOLS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"not readable ({error})", where=str(path), fix=f"`f2r score {run.path}` makes it again"
        ) from None


def _checked(scores: dict[str, Any]) -> dict[str, Any]:
    """Scores that can be drawn; raises what a damaged file makes of that."""
    for part in ("utterance", "image", "joint"):
        for name in NAMES:
            float(scores[part][name])
    float(scores["coverage"] + scores["samples"] + scores["out_of_range_ids"])
    int(scores.get("unasked", 0))
    sum(scores["failures"].values())
    if similarity := scores.get("similarity"):
        similarity["encoder"], similarity["digest"]
        for means in (scores, similarity["random"], similarity["gold"]):
            float((means["relevance"] or 0) + (means["coherence"] or 0))
        for counted in (similarity["undefined"], similarity["gold"]["undefined"]):
            int(counted["relevance"] + counted["coherence"])
    return scores


def build_table(
    runs: Iterable[RunFolder], protocol: Protocol | None = None, *, published: bool = True
) -> Table:
    """One row a model, one column group a task; `protocol` overrides the tasks' own.

    Runs of one task name that did not ask the same requests are different tasks, and runs of one
    model that were not set up alike are different rows: the later ones are numbered. Runs that differ
    in nothing but the model's seed are folded into one row, with a note. A run under a probe is a row
    of its own in the column of what was asked without the probe.
    """
    table = Table({}, [], [])
    read = []
    for run in runs:
        record = run.record()
        try:
            read.append((run, record, read_scores(run)))
        except InputError as error:
            if record["finished"] is not None:
                raise
            name, task = record["model"]["name"], record["task"]["name"]
            table.notes.append(f"{name} on {task} is not shown: {error}")
    keys = task_keys([record for _, record, _ in read])
    tasks = labels(keys)
    models = labels(setups := set_ups([record for _, record, _ in read], keys))
    rows: dict[str, Row] = {}
    for key, setup, (run, record, scores) in zip(keys, setups, read, strict=True):
        task, model = tasks[key], models[setup]
        shown: Protocol = protocol or record["task"]["protocol"]
        table.tasks.setdefault(task, shown)
        kind = "reference" if record["model"]["trained"] == "reference" else "run"
        row = rows.setdefault(model, Row(model, record["model"]["trained"], kind))
        row.probed = bool(record.get("probe"))
        row.runs.setdefault(task, []).append(run)
        row.each.setdefault(task, []).append(scores[shown])
        if record["finished"] is None:
            told = f"{model} on {task} was interrupted"
            if unasked := scores[shown].get("unasked"):
                told += f", {unasked} of {scores[shown]['samples']} requests were not asked"
            table.notes.append(f"{told}: {run.path}")
    table.rows = list(rows.values())
    table.notes += seed_notes(table.rows)
    table.notes += usage_notes(table.rows)
    whole = {
        tasks[key]
        for key, (_, record, _) in zip(keys, read, strict=True)
        if record["task"]["named"] and not record["task"]["limit"] and not record.get("probe")
    }
    probed = [
        (record["probe"], tasks[key], record["model"]["name"], scores["strict"]["samples"])
        for key, (_, record, scores) in zip(keys, read, strict=True)
        if record.get("probe")
    ]
    table.notes += _probe_notes(probed)
    if published and (added := _published_rows(table.tasks, whole)):
        table.rows += added
        table.notes.append(PUBLISHED)
    return table


def _probe_notes(probed: list[tuple[dict[str, Any], str, str, int]]) -> list[str]:
    """How to read rows under probes, from every such run's probe, task, model and requests."""
    if not probed:
        return []
    notes = ["probe: the requests were changed; to be read beside the same model's row without it"]
    models: dict[tuple[str, str, int, int], list[str]] = {}
    for probe, task, model, requests in probed:
        models.setdefault((probe["name"], task, probe["changed"], requests), []).append(model)
    for (name, task, changed, requests), names in models.items():
        if changed == 0:
            who = ", ".join(dict.fromkeys(names))
            notes.append(f"{name} changes nothing for a model that sees no pictures: {who} on {task}")
        elif changed < requests:
            some = f"{changed} of {requests} requests, those whose dialogues have {Probe(name).needs}"
            notes.append(f"{name} on {task} changed {some}")
    return list(dict.fromkeys(notes))


def _published_rows(tasks: dict[str, Protocol], whole: set[str]) -> list[Row]:
    """Published numbers for the real sets in the table: whole sets, under the same protocol."""
    shown = {task for task, protocol in tasks.items() if protocol == "published"} & whole
    text = resources.files("f2rcli.results").joinpath("published.toml").read_text(encoding="utf-8")
    rows = []
    for row in tomllib.loads(text)["row"]:
        f1s = {task: f1 / 100 for task, f1 in row["f1"].items() if task in shown}
        scores = {task: [{"joint": {"f1": f1}}] for task, f1 in f1s.items()}
        if scores:
            rows.append(Row(f"{row['model']} †", row["trained"], "published", scores))
    return rows
