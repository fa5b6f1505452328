"""What a score is not to be read without: said at once, kept in run.json, and printed below tables."""

from collections.abc import Iterable
from typing import Any

from f2rcli.adapters.registry import ModelRow
from f2rcli.adapters.retriever import Retriever
from f2rcli.results.rows import Row
from f2rcli.results.selection import Selection

CHOSEN = {"bm25": ("cutoff", "its cut-off was"), "embedding": ("thresholds", "its thresholds were")}


def cautions(row: ModelRow, retriever: Retriever, selection: Selection) -> list[str]:
    """Of a row that decides by what was chosen (not by `top_k`): whether that was on this very file, and
    whether nothing says what it was chosen with."""
    used, chosen = CHOSEN.get(row.kind, ("", ""))
    if not used or used not in retriever.identity():
        return []
    found = []
    if selection.file_digest() in row.settings.get("chosen_on", ""):
        found.append(f"{chosen} chosen on this file")
    if row.kind == "embedding" and "chosen_with" not in row.settings:
        found.append("nothing says what its thresholds were chosen with")
    return found


def recorded(record: dict[str, Any]) -> list[str]:
    """Those of a run.json; older ones have none."""
    return list(record.get("cautions", []))


def caution_notes(rows: Iterable[Row]) -> list[str]:
    """A line for each of a table's rows and tasks that has one."""
    told = (
        f"{row.model} on {task}: {caution}"
        for row in rows
        for task, runs in row.runs.items()
        for run in runs
        for caution in recorded(run.record())
    )
    return list(dict.fromkeys(told))
