"""Tables of runs: which rows and columns there are. `render` draws them."""

import json
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from f2rcli.results.evaluate import rebuild
from f2rcli.results.runs import RECORD, SCORES, RunFolder
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.scoring import PROTOCOLS, Protocol


@dataclass(slots=True)
class Row:
    """A model over the tasks: `scores[task]` is a scores.json object (published rows: F1 only)."""

    model: str
    trained: str
    kind: str = "run"
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Table:
    """Rows × tasks. `tasks` maps a task's label to its protocol."""

    tasks: dict[str, Protocol]
    rows: list[Row]
    notes: list[str]

    @property
    def synthetic(self) -> set[str]:
        """Tasks whose every request is of a set that was made up."""
        return {
            task for row in self.rows for task, scores in row.scores.items() if scores.get("synthetic")
        }


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
        return {protocol: _checked(scores[protocol]) for protocol in PROTOCOLS}
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
    sum(scores["failures"].values())
    return scores


def build_table(
    runs: Iterable[RunFolder], protocol: Protocol | None = None, *, published: bool = True
) -> Table:
    """One row a model, one column group a task; `protocol` overrides the tasks' own.

    Runs of one task name that did not ask the same requests are different tasks, and runs of one
    model that were not set up alike are different rows: the later ones are numbered.
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
    keys = _task_keys([record for _, record, _ in read])
    tasks = _labels(keys)
    models = _labels(setups := _setups([record for _, record, _ in read], keys))
    rows: dict[str, Row] = {}
    for key, setup, (run, record, scores) in zip(keys, setups, read, strict=True):
        task, model = tasks[key], models[setup]
        shown: Protocol = protocol or record["task"]["protocol"]
        table.tasks.setdefault(task, shown)
        kind = "reference" if record["model"]["trained"] == "reference" else "run"
        row = rows.setdefault(model, Row(model, record["model"]["trained"], kind))
        row.scores[task] = scores[shown]
        if record["finished"] is None:
            table.notes.append(f"{model} on {task} was interrupted: {run.path}")
    table.rows = list(rows.values())
    whole = {
        tasks[key]
        for key, (_, record, _) in zip(keys, read, strict=True)
        if record["task"]["named"] and not record["task"]["limit"]
    }
    if published and (added := _published_rows(table.tasks, whole)):
        table.rows += added
        source = "the F2RVLM paper, arXiv 2508.17714"
        table.notes.append(f"† published in {source}, on the authors' whole set; not run here")
    return table


def _task_keys(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """For every run its task's name and what was asked: requests and, where looked at, pictures.

    A model that does not look at pictures has no digest of them, and shares the column of one that
    does.
    """
    pictures: dict[str, str] = {}
    for identity in (record["identity"] for record in records):
        if identity["images"]:
            pictures.setdefault(identity["data"], identity["images"])
    return [
        (
            record["task"]["name"],
            identity["data"] + (identity["images"] or pictures.get(identity["data"], "")),
        )
        for record in records
        for identity in [record["identity"]]
    ]


def _setups(records: list[dict[str, Any]], keys: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """For every run its model's name and set-up, whatever the task; the same run made again (on
    another machine, say) counts as another set-up."""
    seen: Counter[tuple[str, tuple[str, str]]] = Counter()
    setups = []
    for record, key in zip(records, keys, strict=True):
        identity, name = record["identity"], record["model"]["name"]
        setup = json.dumps([name, identity["model"], identity["max_turns"], record["prompt"]])
        setups.append((name, f"{setup} {seen[setup, key]}"))
        seen[setup, key] += 1
    return setups


def _labels(named: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A label for every (name, digest): the name, numbered where one name has several digests."""
    labels: dict[tuple[str, str], str] = {}
    for name, key in named:
        if (name, key) not in labels:
            before = sum(other == name for other, _ in labels)
            labels[name, key] = f"{name} ({before + 1})" if before else name
    return labels


def _published_rows(tasks: dict[str, Protocol], whole: set[str]) -> list[Row]:
    """Published numbers for the real sets in the table: whole sets, under the same protocol."""
    shown = {task for task, protocol in tasks.items() if protocol == "published"} & whole
    text = resources.files("f2rcli.results").joinpath("published.toml").read_text(encoding="utf-8")
    rows = []
    for row in tomllib.loads(text)["row"]:
        scores = {task: {"joint": {"f1": f1 / 100}} for task, f1 in row["f1"].items()}
        scores = {task: score for task, score in scores.items() if task in shown}
        if scores:
            rows.append(Row(f"{row['model']} †", row["trained"], "published", scores))
    return rows
