"""The cells of tables: what stands in them, apart from which there are and how they are drawn."""

import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from f2rcli.results.rows import Row, Table

HEADERS = {"precision": "P", "recall": "R", "f1": "F1", "mcc": "MCC"}
LEVEL = 0.05  # of a mark of significance
RANKED = (
    "bold: best of a column; underlined: second best; "
    "reference rows, published rows, probes and unfinished runs do not compete"
)
Unit = Literal["percent", "points", "cosine", "count", "text", "remark"]


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def points(value: float | None) -> str:
    """A difference of fractions, with its sign."""
    return "–" if value is None else f"{round(100 * value, 2) + 0.0:+.2f}"  # not -0.00


def cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def count(value: float | None) -> str:
    """Of several runs the mean, which need not be whole."""
    return "–" if value is None else f"{value:.2f}".removesuffix(".00")


SHOWN = {"percent": percent, "points": points, "cosine": cosine, "count": count}


@dataclass(slots=True)
class Cell:
    """`value` and `sd` (over runs) at full precision, `text` and `spread` as drawn.

    `requests` is how many the value is a mean over, `p` the corrected p-value of a difference from
    the row that it was tested against, `place` 1 for the best of its column and 2 for the second.
    """

    text: str
    value: float | None = None
    sd: float | None = None
    spread: str = ""
    requests: float | None = None
    p: float | None = None
    place: int = 0

    @property
    def significant(self) -> bool:
        return self.p is not None and self.p <= LEVEL


@dataclass(frozen=True, slots=True)
class Column:
    """`metric` is what programs call it. Where `best` is set, the highest value is the best.

    A `remark` is a text about a whole row, which formats for papers put into the notes.
    """

    header: str
    metric: str
    unit: Unit = "percent"
    best: bool = False
    turns: str = ""

    def cell(
        self,
        value: float | None,
        sd: float | None = None,
        requests: float | None = None,
        p: float | None = None,
    ) -> Cell:
        show = SHOWN[self.unit]
        spread = "" if sd is None or value is None else show(sd).lstrip("+")
        return Cell(show(value), value, sd, spread, requests, p)


@dataclass(slots=True)
class Line:
    """A row's cells by task: one a column, or none where the row was not asked the task."""

    row: Row
    cells: dict[str, list[Cell]]

    def numbers(self, panel: "Panel") -> list[Cell]:
        """As papers have them: without remarks, and empty where there is nothing."""
        return [
            cell
            for task, columns in panel.groups.items()
            for column, cell in zip(columns, self.cells[task] or [Cell("")] * len(columns), strict=True)
            if column.unit != "remark"
        ]


@dataclass(slots=True)
class Panel:
    """Lines × columns, which are grouped by task. `trained`: whether that is shown beside the model."""

    title: str
    groups: dict[str, list[Column]]
    lines: list[Line]
    trained: bool = True

    def columns(self) -> dict[str, list[Column]]:
        """Those that papers have: no remarks."""
        return {
            task: [column for column in columns if column.unit != "remark"]
            for task, columns in self.groups.items()
        }

    def rank(self) -> None:
        """Set `place` in every column where the best counts, among the rows that compete.

        Values are compared as they are drawn, so that equal ones share a place.
        """
        for task, columns in self.groups.items():
            for number, column in enumerate(columns):
                cells = [
                    line.cells[task][number]
                    for line in self.lines
                    if column.best and line.row.competes(task) and line.cells[task]
                ]
                cells = [cell for cell in cells if cell.value is not None]
                places = sorted({float(cell.text) for cell in cells}, reverse=True)
                for cell in cells if len(cells) > 1 else ():
                    place = 1 + places.index(float(cell.text))
                    cell.place = place if place <= 2 else 0


@dataclass(slots=True)
class Sheet:
    """What is to be drawn: panels of one layout, and the notes below them."""

    layout: str
    table: Table
    panels: list[Panel]
    notes: list[str]

    def head(self, task: str) -> str:
        return f"{task} (synthetic)" if task in self.table.synthetic else task

    def remark_notes(self) -> list[str]:
        """Failures and coverage of the rows that are shown, for tables without a column for them."""
        shown = {line.row.model for panel in self.panels for line in panel.lines}
        return [
            f"{row.model} on {task}: {', '.join(told)}"
            for row in self.table.rows
            for task, scores in row.scores.items()
            if row.model in shown and self.layout != "failures" and (told := remarks(scores))
        ]

    def all_notes(self) -> list[str]:
        """The notes with what only a screen has a column for."""
        return [*self.notes, *self.remark_notes()]

    def paper_notes(self) -> list[str]:
        """The same with what the type faces mean."""
        cells = [cell for panel in self.panels for line in panel.lines for cell in line.numbers(panel)]
        return [*self.all_notes(), *([RANKED] if any(cell.place for cell in cells) else [])]


def remarks(scores: dict[str, Any] | None, part: str = "joint") -> list[str]:
    """Failures, coverage and what was not asked, where they are not 0, 100 % and nothing."""
    if not scores or "failures" not in scores:
        return []
    found = []
    if scores["coverage"] < 1:
        told = f"coverage {percent(scores['coverage'])} %"
        answered = scores.get("answered")  # not of a mean over runs, where some answered all
        if answered and scores["coverage"]:
            told += f" (F1 of the answered {percent(answered[part]['f1'])})"
        found.append(told)
    if unasked := scores.get("unasked"):
        found.append(f"{count(unasked)} not asked")
    found += [f"{count(number)} {kind}" for kind, number in scores["failures"].items() if number]
    if scores["out_of_range_ids"]:
        found.append(f"{count(scores['out_of_range_ids'])} ids out of range")
    return found


def defined(scores: dict[str, Any]) -> dict[str, Any]:
    """A scores.json object without values where nothing was answered: an F1 of nothing is none."""
    if scores["coverage"]:
        return scores
    parts = ("utterance", "image", "joint")
    return {**scores, **{part: dict.fromkeys(scores[part]) for part in parts}}


def plain(text: str) -> str:
    """Without what is no sign: control characters, marks of direction, halves of characters."""
    found = "".join(_visible(sign) for sign in text)
    return " ".join(found.split())


def _visible(sign: str) -> str:
    category = unicodedata.category(sign)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    return {"Cf": "", "Cs": "\N{REPLACEMENT CHARACTER}"}.get(category, sign)
