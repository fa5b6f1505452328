"""Which runs share a row of a table, which a column, and what those are called."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from f2rcli.results.rows import Row
from f2rcli.tasks.probes import HIDING, SEEDED


def task_keys(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """For every run its task's name and what was asked: requests and, where looked at, pictures.

    A model that does not look at pictures has no digest of them, and shares the column of one that
    does; so has one that was shown others, or none. What counts is what was asked before any probe.
    """
    found = [asked(record) for record in records]
    pictures: dict[str, str] = {}
    for data, images in found:
        if images:
            pictures.setdefault(data, images)
    return [
        (record["task"]["name"], data + (images or pictures.get(data, "")))
        for record, (data, images) in zip(records, found, strict=True)
    ]


def asked(record: dict[str, Any]) -> tuple[str, str | None]:
    """Digests of a run's requests and of its pictures (None: not looked at), without its probe."""
    identity, probe = record["identity"], record.get("probe")
    if not probe:
        return identity["data"], identity["images"]
    return probe["origin"], None if probe["name"] in HIDING else identity["images"]


def set_ups(records: list[dict[str, Any]], keys: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """For every run its model's name and set-up, whatever the task and the seed; the same run made
    again (on another machine, say) counts as another set-up."""
    seen: Counter[tuple[str, int | None, tuple[str, str]]] = Counter()
    found = []
    for record, key in zip(records, keys, strict=True):
        identity, name = record["identity"], run_name(record)
        model, seed = dict(identity["model"]), seed_of(record)
        if seed is not None:
            del model["seed"]
        setup = json.dumps([name, model, identity["max_turns"], record["prompt"], identity.get("probe")])
        made = (setup, seed, key)
        found.append((name, f"{setup} {seen[made]}"))
        seen[made] += 1
    return found


def seed_of(record: dict[str, Any]) -> int | None:
    """What a run's model drew its answers with; None for one that does not draw."""
    seed = record["identity"]["model"].get("seed")
    return seed if isinstance(seed, int) else None


def run_name(record: dict[str, Any]) -> str:
    """The model's name, and the run's probe (with its seed, where it draws and that is not 0)."""
    name, probe = str(record["model"]["name"]), record.get("probe")
    if not probe:
        return name
    drawn = probe["name"] in SEEDED and probe["seed"]
    return f"{name}, probe {probe['name']}" + (f" seed {probe['seed']}" if drawn else "")


def labels(named: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A label for every (name, digest): the name, numbered where one name has several digests."""
    found: dict[tuple[str, str], str] = {}
    for name, key in named:
        if (name, key) not in found:
            before = sum(other == name for other, _ in found)
            found[name, key] = f"{name} ({before + 1})" if before else name
    return found


def seed_notes(rows: Iterable[Row]) -> list[str]:
    """Which rows are means over seeds, and over which."""
    return [
        f"{row.model} on {task}: mean ± sample standard deviation of {len(runs)} seeds "
        f"({', '.join(str(seed_of(run.record())) for run in runs)})"
        for row in rows
        for task, runs in row.runs.items()
        if len(runs) > 1
    ]
