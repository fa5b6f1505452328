"""Which rows of a table differ from one of them: paired bootstrap, Holm-corrected over the rows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from f2rcli.results.bootstrap import FEW_DIALOGUES, RESAMPLES, SEED
from f2rcli.results.cells import LEVEL
from f2rcli.results.compare import Comparison, compare, corrected
from f2rcli.results.rows import Row, Table
from f2rcli.results.sides import read_side
from f2rcli.tasks.errors import InputError


@dataclass(slots=True)
class Significance:
    """Comparisons with the row `against`, by the other row's model and task."""

    against: Row
    comparisons: dict[tuple[str, str], Comparison]
    notes: list[str]

    def p(self, row: Row, task: str, metric: str) -> float | None:
        """Two-sided, corrected; None where the two were not compared."""
        found = self.comparisons.get((row.model, task))
        if found is None:
            return None
        difference = found.differences[metric]
        return difference.p if difference.p_holm is None else difference.p_holm


def compare_rows(table: Table, against: str) -> Significance:
    """Every row that can be paired with the row called `against`, task by task.

    Raises InputError if there is no such row, or none of its answers can be paired.
    """
    named = [row for row in table.rows if row.model == against]
    if not named:
        there = ", ".join(row.model for row in table.rows)
        raise InputError(f"no row is called {against!r}", fix=f"there are {there}")
    if reason := _unpaired(named[0], named[0].each):
        raise InputError(f"{against} cannot be tested against: {reason}")
    made = Significance(named[0], {}, [])
    untested: dict[str, list[str]] = {}
    for task in named[0].runs:
        _compare_on(task, table, made, untested)
    tested = Counter(task for _, task in made.comparisons)
    rows = ", ".join(f"{number} on {task}" for task, number in tested.items()) or "none"
    made.notes.append(
        f"* differs from {against}: p ≤ {LEVEL}, two-sided, paired bootstrap over dialogues "
        f"({RESAMPLES:,} resamples, seed {SEED}), Holm-corrected for the rows compared ({rows}), "
        "task by task and metric by metric"
    )
    made.notes += [
        f"not tested on {task}: {against} has no run on it"
        for task in table.tasks
        if task not in made.against.runs
    ]
    few = [task for (_, task), one in made.comparisons.items() if one.dialogues < FEW_DIALOGUES]
    made.notes += [
        f"{task} has fewer than {FEW_DIALOGUES} dialogues: no difference on it can be significant"
        for task in dict.fromkeys(few)
    ]
    made.notes += [
        f"not tested, {reason}: {', '.join(dict.fromkeys(names))}" for reason, names in untested.items()
    ]
    return made


def _compare_on(task: str, table: Table, made: Significance, untested: dict[str, list[str]]) -> None:
    base = read_side(made.against.runs[task][0].path)
    found: dict[tuple[str, str], Comparison] = {}
    for row in table.rows:
        if row is made.against or task not in row.each:
            continue
        reason = _unpaired(row, [task])
        if not reason:
            side = read_side(row.runs[task][0].path)
            try:
                found[row.model, task] = compare(base, side, protocol=table.tasks[task])
            except InputError as error:
                reason = error.what
        if reason:
            untested.setdefault(reason, []).append(row.model)
    if found:
        made.comparisons |= dict(zip(found, corrected(list(found.values())), strict=True))


def _unpaired(row: Row, tasks: Iterable[str]) -> str:
    """Why a row's answers to the tasks cannot be paired with others'; "" where they can."""
    if row.kind == "published":
        return "published, the answers are not known"
    if any(row.unfinished(task) for task in tasks):
        return "unfinished, not every request was asked"
    if any(len(row.runs[task]) > 1 for task in tasks):
        return "a mean over several runs"
    return ""
