"""Folding rows that the user says are seeds of one model: trained checkpoints, say."""

from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from f2rcli.results.rows import Row, Table
from f2rcli.results.sides import leaves
from f2rcli.tasks.errors import InputError


def fold(table: Table, folds: Iterable[str]) -> None:
    """Fold the rows that each `NAME=GLOB` matches into one called NAME, in the place of the first.

    Raises InputError where fewer than two rows match, or where they differ in more than the model:
    in training, prompt, probe or slices.
    """
    for text in folds:
        name, _, glob = text.partition("=")
        if not name or not glob:
            raise InputError(f"--fold {text} is not NAME=GLOB")
        matched = [row for row in table.rows if row.runs and fnmatchcase(row.model, glob)]
        if len(matched) < 2:
            there = ", ".join(row.model for row in table.rows if row.runs)
            raise InputError(f"--fold {text}: {len(matched)} rows match", fix=f"there are {there}")
        if any(row.model == name for row in table.rows if row not in matched):
            raise InputError(f"--fold {text}: another row is called {name}")
        for row in matched[1:]:
            if unlike := _unlike(matched[0], row):
                who = f"{matched[0].model} and {row.model}"
                raise InputError(f"--fold {text}: {who} differ in {unlike}, so they are no seeds")
        table.notes.append(_note(name, matched))
        place = table.rows.index(matched[0])
        table.rows[place] = _folded(name, matched)
        table.rows = [row for row in table.rows if row not in matched]


def _folded(name: str, rows: list[Row]) -> Row:
    folded = Row(name, rows[0].trained, rows[0].kind, probed=rows[0].probed)
    for row in rows:
        for task, runs in row.runs.items():
            folded.runs.setdefault(task, []).extend(runs)
            folded.each.setdefault(task, []).extend(row.each[task])
    return folded


def _unlike(one: Row, other: Row) -> str:
    """In what else than their models two rows differ, in words."""
    mine, theirs = ({what: _told(row, what) for what in ASKED} for row in (one, other))
    return ", ".join(what for what in ASKED if mine[what] != theirs[what])


ASKED = {
    "training": lambda record: record["model"]["trained"],
    "prompt": lambda record: record["prompt"],
    "probe": lambda record: record["identity"].get("probe"),
    "slices": lambda record: record["identity"]["max_turns"],
}


def _told(row: Row, what: str) -> Any:
    return ASKED[what](next(iter(row.runs.values()))[0].record())


def _note(name: str, rows: list[Row]) -> str:
    records = [runs[0].record() for row in rows for runs in row.runs.values()]
    settings = [dict(leaves(record["identity"]["model"])) for record in records]
    names = dict.fromkeys(name for known in settings for name in known)
    unlike = [
        what for what in names if any(known.get(what) != settings[0].get(what) for known in settings)
    ]
    which = f", which differ in {', '.join(unlike)}" if unlike else ""
    counted = Counter(task for row in rows for task, runs in row.runs.items() for _ in runs)
    runs = " and ".join(f"{number} runs on {task}" for task, number in counted.items())
    told = ", ".join(row.model for row in rows)
    return f"{name}: mean ± sample standard deviation of {runs}, folded by name: {told}{which}"
