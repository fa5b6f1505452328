"""What a table is made of: rows × tasks, whatever is then shown of them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from f2rcli.results.runs import RunFolder
from f2rcli.tasks.scoring import Protocol


@dataclass(slots=True)
class Row:
    """A model over the tasks: `each[task]` has a scores.json object a run (published rows: F1 only).

    Several runs on a task are seeds of one model. `probed`: their requests were changed.
    """

    model: str
    trained: str
    kind: str = "run"
    each: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: dict[str, list[RunFolder]] = field(default_factory=dict)
    probed: bool = False

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """By task a scores.json object: over several runs, of their means."""
        return {task: _leafwise(several, statistics.mean) for task, several in self.each.items()}

    @property
    def sd(self) -> dict[str, dict[str, Any]]:
        """By task with several runs the same object of sample standard deviations (n - 1)."""
        return {
            task: _leafwise(several, statistics.stdev)
            for task, several in self.each.items()
            if len(several) > 1
        }

    def unfinished(self, task: str) -> bool:
        """Whether a run of it was ended before it had asked everything."""
        return any(scores.get("unasked") for scores in self.each.get(task, ()))

    def competes(self, task: str) -> bool:
        """Whether it can be the best of a column: a model's own run on the task's own requests, all of
        them."""
        return self.kind == "run" and not self.probed and not self.unfinished(task)


@dataclass(slots=True)
class Table:
    """Rows × tasks. `tasks` maps a task's label to its protocol."""

    tasks: dict[str, Protocol]
    rows: list[Row]
    notes: list[str]

    def encoder(self, task: str) -> tuple[str, str] | None:
        """Name and digest of the encoder that the task's first measured row was measured by."""
        for row in self.rows:
            similarity = row.scores.get(task, {}).get("similarity")
            if similarity and similarity["digest"]:  # none where seeds were measured by several
                return similarity["encoder"], similarity["digest"]
        return None

    def measured(self, task: str, row: Row) -> dict[str, Any] | None:
        """The row's scores on the task, if they were measured by the task's encoder."""
        scores = row.scores.get(task, {})
        found, encoder = scores.get("similarity"), self.encoder(task)
        return scores if found and encoder and found["digest"] == encoder[1] else None

    @property
    def synthetic(self) -> set[str]:
        """Tasks whose every request is of a set that was made up."""
        return {
            task for row in self.rows for task, scores in row.scores.items() if scores.get("synthetic")
        }


def mean_sd(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation; without the latter for one value, without either where
    one is not defined."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None, None
    return statistics.mean(known), statistics.stdev(known) if len(known) > 1 else None


def _leafwise(values: list[Any], statistic: Callable[[list[float]], float]) -> Any:
    """One object of several alike: its numbers are statistics, and what else is not equal is None."""
    first = values[0]
    if len(values) == 1:
        return first
    if all(isinstance(value, dict) for value in values):
        names = [name for name in first if all(name in value for value in values)]
        return {name: _leafwise([value[name] for value in values], statistic) for name in names}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return statistic(values)
    return first if all(value == first for value in values) else None
