"""Layouts: which of a table's numbers are shown. What draws them is in `render` and `formats`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from f2rcli.results import similarity
from f2rcli.results.cautions import caution_notes
from f2rcli.results.cells import HEADERS, Cell, Column, Line, Panel, Sheet, defined, remarks
from f2rcli.results.evaluate import rebuild
from f2rcli.results.lengths import by_length
from f2rcli.results.rows import Row, Table, mean_sd
from f2rcli.results.runs import PREDICTIONS, RunFolder
from f2rcli.results.significance import Significance
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.predictions import Prediction, read_predictions
from f2rcli.tasks.scoring import Scorer
from f2rcli.tasks.types import FAILURE_KINDS

Layout = Literal["main", "modality", "length", "coherence", "ablation", "failures"]
MODALITIES = ("utterance", "image", "joint")
TESTED = ("main", "modality", "ablation")  # layouts whose numbers `--against` tests
WITH_PUBLISHED = ("main", "modality", "length")  # layouts in which a lone F1 says something
REMARKS = Column("failures", "failures", "remark")
UNASKED = Column("not asked", "unasked", "count")


def lay_out(table: Table, layout: Layout, tests: Significance | None = None) -> Sheet:
    """A layout of the table, ranked. Raises InputError where there is nothing to show in it."""
    if not table.rows:
        raise InputError("no run can be shown", fix=" ".join(table.notes))
    panels = list(_panels(table, layout, tests))
    if not any(panel.lines for panel in panels):
        fix = "`f2r score RUN --encoder NAME` measures them" if layout == "coherence" else ""
        raise InputError(f"no run has anything for the layout {layout}", fix=fix)
    notes = basis(table)
    if layout == "coherence":
        notes += similarity.notes(table)
    notes += [*caution_notes(table.rows), *table.notes]
    if layout == "ablation":
        notes.append(f"Δ: difference from {_full(table, tests).model}, in points")
    for panel in panels:
        panel.rank()
    return Sheet(layout, table, panels, [*notes, *(tests.notes if tests else [])])


def overview(table: Table, layout: Layout = "main", tests: Significance | None = None) -> Sheet:
    """For a screen: scores are followed by relevance and coherence, where those were measured."""
    sheet = lay_out(table, layout, tests)
    if layout in ("main", "modality") and (measured := similarity.panel(table)).lines:
        sheet.panels.append(measured)
        sheet.notes[len(table.tasks) : len(table.tasks)] = similarity.notes(table)
    return sheet


def basis(table: Table) -> list[str]:
    """What every task's numbers rest on."""
    notes = []
    for task, protocol in table.tasks.items():
        asked = {s["samples"] for row in table.rows for s in row.each.get(task, ()) if "samples" in s}
        number = " or ".join(str(samples) for samples in sorted(asked))
        kind = "synthetic, " if task in table.synthetic else ""
        notes.append(f"{task}: {number} requests, {kind}{protocol} protocol, micro average")
    return notes


def _panels(table: Table, layout: Layout, tests: Significance | None) -> Iterator[Panel]:
    if layout == "modality":
        yield from (_part(table, part, tests) for part in ("joint", "utterance", "image"))
    elif layout == "ablation":
        yield _ablation(table, tests)
    elif layout == "main":
        yield _part(table, "joint", tests)
    else:
        one: dict[str, Callable[[Table], Panel]] = {
            "length": _length,
            "coherence": similarity.panel,
            "failures": _failures,
        }
        yield one[layout](table)


def _scored(
    column: Column, row: Row, task: str, part: str, name: str, tests: Significance | None
) -> Cell:
    """A metric of scores.json."""
    scores, sd = row.scores[task], row.sd.get(task, {})
    value, spread = (found.get(part, {}).get(name) for found in (scores, sd))
    p = tests.p(row, task, f"{part}.{name}") if tests else None
    return column.cell(value, spread, scores.get("samples"), p)


def _part(table: Table, part: str, tests: Significance | None) -> Panel:
    """P, R, F1 and MCC of a modality or both; failures have a column where there are any."""
    columns = [Column(HEADERS[name], f"{part}.{name}", best=True) for name in NAMES]
    told = {
        (row.model, task): ", ".join(remarks(scores, part))
        for row in table.rows
        for task, scores in row.scores.items()
    }
    failing = {task for (_, task), remark in told.items() if remark}
    groups = {task: columns + [REMARKS] * (task in failing) for task in table.tasks}

    def cells(row: Row, task: str) -> list[Cell]:
        found = [
            _scored(column, row, task, part, name, tests)
            for column, name in zip(columns, NAMES, strict=True)
        ]
        return found + [Cell(told[row.model, task])] * (task in failing)

    rows = [row for row in table.rows if any(part in scores for scores in row.scores.values())]
    return Panel(f"{part}, %", groups, _lines(rows, table, cells))


def _lines(rows: Iterable[Row], table: Table, cells: Callable[[Row, str], list[Cell]]) -> list[Line]:
    return [
        Line(row, {task: cells(row, task) if task in row.each else [] for task in table.tasks})
        for row in rows
    ]


def _length(table: Table) -> Panel:
    """Joint F1 of everything, and by how long the dialogue is."""
    found = {
        (row.model, task): [by_length(_predictions(run), protocol) for run in row.runs[task]]
        for task, protocol in table.tasks.items()
        for row in table.rows
        if task in row.runs
    }
    groups = {}
    for task in table.tasks:
        asked = next(several[0] for (_, other), several in found.items() if other == task)
        counted = {name: scorer.samples for name, scorer in asked.items()}
        columns = [Column(f"all ({sum(counted.values())})", "joint.f1", best=True)]
        columns += [
            Column(f"{name} ({number})", "joint.f1", best=True, turns=name)
            for name, number in counted.items()
        ]
        groups[task] = columns

    def cells(row: Row, task: str) -> list[Cell]:
        everything, *columns = groups[task]
        made = [_scored(everything, row, task, "joint", "f1", None)]
        for column in columns:
            scorers = [by[column.turns] for by in found.get((row.model, task), [])]
            f1s = [defined(s.result())["joint"]["f1"] for s in scorers]
            made.append(column.cell(*mean_sd(f1s), scorers[0].samples if scorers else None))
        return made

    return Panel("joint F1 by turns, %", groups, _lines(table.rows, table, cells))


def _failures(table: Table) -> Panel:
    """Coverage, requests that failed by kind, ids that do not exist, and exactly right answers."""
    columns = [Column("coverage, %", "coverage")]
    columns += [Column(kind, f"failures.{kind}", "count") for kind in FAILURE_KINDS]
    if any(row.unfinished(task) for row in table.rows for task in table.tasks):
        columns.append(UNASKED)
    columns += [Column("out of range", "out_of_range_ids", "count"), Column("exact, %", "exact")]

    def cells(row: Row, task: str) -> list[Cell]:
        scores, sd = row.scores[task], row.sd.get(task, {})
        made = []
        for column in columns[:-1]:
            value, spread = (_dug(found, column.metric) for found in (scores, sd))
            if column is UNASKED:  # which scores.json has only where it is not 0
                value, spread = mean_sd([s.get("unasked", 0) for s in row.each[task]])
            made.append(column.cell(value, spread, scores["samples"]))
        exact = [_exact(run, table, task) for run in row.runs[task]]
        return [*made, columns[-1].cell(*mean_sd(exact), scores["samples"])]

    rows = [row for row in table.rows if row.runs]
    return Panel("failures", dict.fromkeys(table.tasks, columns), _lines(rows, table, cells))


def _dug(scores: dict[str, Any], metric: str) -> float | None:
    """`failures.error` → scores["failures"]["error"]."""
    found: Any = scores
    for name in metric.split("."):
        found = found.get(name, {})
    return found if isinstance(found, int | float) else None


def _exact(run: RunFolder, table: Table, task: str) -> float:
    scorer = Scorer(table.tasks[task])
    for prediction in _predictions(run):
        scorer.add(prediction)
    return scorer.exact


def _ablation(table: Table, tests: Significance | None) -> Panel:
    """The full model, then every other row with its differences from it."""
    full = _full(table, tests)
    pairs = [
        (
            part,
            Column(f"{part} F1", f"{part}.f1", best=True),
            Column("Δ", f"{part}.f1.difference", "points"),
        )
        for part in MODALITIES
    ]
    columns = [column for _, *both in pairs for column in both]

    def cells(row: Row, task: str) -> list[Cell]:
        made = []
        for part, column, difference in pairs:
            cell = _scored(column, row, task, part, "f1", tests)
            base = full.scores.get(task, {}).get(part, {}).get("f1")
            known = not row.unfinished(task) and not full.unfinished(task)
            value = cell.value - base if known and base is not None and cell.value is not None else None
            made += [cell, Cell("") if row is full else difference.cell(value, None, cell.requests)]
        return made

    rows = [full, *(row for row in table.rows if row is not full and row.runs)]
    return Panel("F1, %", dict.fromkeys(table.tasks, columns), _lines(rows, table, cells))


def _full(table: Table, tests: Significance | None) -> Row:
    """The row that was named, else the first model of the table."""
    if tests:
        return tests.against
    own = [row for row in table.rows if row.kind == "run"]
    return (own or table.rows)[0]


def _predictions(run: RunFolder) -> Iterable[Prediction]:
    if not (run.path / PREDICTIONS).is_file():
        rebuild(run)
    return read_predictions(run.path / PREDICTIONS)
