"""Drawing tables with Rich: in colour on a terminal, plain text in a pipe."""

import sys
from collections.abc import Iterable
from typing import IO, Any

import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console

from f2rcli.results import similarity
from f2rcli.results.cells import HEADERS, Cell, Panel, Sheet, defined, percent, remarks
from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.scoring import Average, Scorer

STYLES = {"reference": "dim", "published": "italic"}
NUMBER_WIDTH = 8  # with the gap before it
FAILURES_WIDTH = 14  # where there are any; longer ones are folded
MODEL_WIDTH = 34


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # Rich would exit with 1, which means that a gate says no


def console(file: IO[str] | None = None) -> Console:
    """Standard output as it is; a pipe gets lines as long as they need to be."""
    made = _Console(file=file or sys.stdout, highlight=False, emoji=False, markup=False)
    if not made.is_terminal:
        made.width = 1000
    return made


def print_sheet(sheet: Sheet, to: Console) -> None:
    """Every panel, as many tasks beside each other as fit, and the notes."""
    for panel in sheet.panels:
        widest = max((_width(sheet, panel, task) for task in panel.groups), default=1)
        fitting = max(1, (to.width - MODEL_WIDTH) // widest)
        tasks = list(panel.groups)
        for begin in range(0, len(tasks), fitting):
            _print_panel(sheet, panel, tasks[begin : begin + fitting], to)
    columns = [column for panel in sheet.panels for own in panel.groups.values() for column in own]
    own = any(column.unit == "remark" for column in columns)
    for note in sheet.notes if own else sheet.all_notes():
        to.print(note, style="dim", soft_wrap=True)


def _width(sheet: Sheet, panel: Panel, task: str) -> int:
    """What a task's columns take, with the gaps before them."""
    columns = panel.groups[task]
    cells = [line.cells[task] for line in panel.lines if line.cells[task]]
    widths = [
        FAILURES_WIDTH
        if column.unit == "remark"
        else max(NUMBER_WIDTH, len(column.header) + 3, *(len(_text(own[n])) + 2 for own in cells))
        for n, column in enumerate(columns)
    ]
    return max([widths[0], *(cell_len(line) + 3 for line in _head(sheet, task))]) + sum(widths[1:])


def _print_panel(sheet: Sheet, panel: Panel, tasks: list[str], to: Console) -> None:
    grid = _grid(to)
    for header in (panel.title, "trained")[: 1 + panel.trained]:
        grid.add_column(header, overflow="fold")
    starred = {
        (task, number)
        for task in tasks
        for line in panel.lines
        for number, cell in enumerate(line.cells[task])
        if cell.significant
    }
    for task in tasks:
        for number, column in enumerate(panel.groups[task]):
            head = _head(sheet, task) if number == 0 else []
            if column.unit == "remark":
                grid.add_column(f"\n{column.header}", overflow="fold")
            else:
                gap = " " * ((task, number) in starred)
                grid.add_column("\n".join([*head, column.header + gap]), justify="right", no_wrap=True)
    for line in panel.lines:
        if not any(line.cells[task] for task in tasks):
            continue
        cells = [line.row.model, line.row.trained][: 1 + panel.trained]
        for task in tasks:
            own = line.cells[task] or [Cell("")] * len(panel.groups[task])
            cells += [
                _text(cell) + " " * ((task, number) in starred and not cell.significant)
                for number, cell in enumerate(own)
            ]
        grid.add_row(*cells, style=STYLES.get(line.row.kind, ""))
    _draw(grid, to)


def _text(cell: Cell) -> str:
    return cell.text + f" ± {cell.spread}" * bool(cell.spread) + "*" * cell.significant


def _head(sheet: Sheet, task: str) -> list[str]:
    """What stands above a task's first numbers."""
    return [task, "(synthetic)"] if task in sheet.table.synthetic else [task]


def _draw(drawn: rich.table.Table, to: Console) -> None:
    """Rich fills every cell with spaces, which are only in the way in a file or a pipe."""
    if to.is_terminal:
        to.print(drawn)
        return
    with to.capture() as captured:
        to.print(drawn)
    to.print("\n".join(line.rstrip() for line in captured.get().splitlines()), soft_wrap=True)


def _grid(to: Console) -> rich.table.Table:
    box = rich.box.SIMPLE if to.is_terminal else None
    return rich.table.Table(box=box, padding=(0, 1), pad_edge=False)


def print_scores(results: dict[str, dict[str, Any]], to: Console) -> None:
    """Every part of every file's scores (the object of scores.json)."""
    drawn = _grid(to)
    for header in ("file", "%"):
        drawn.add_column(header, overflow="fold")
    for metric in NAMES:
        drawn.add_column(HEADERS[metric], justify="right")
    told = {name: ", ".join(remarks(scores)) for name, scores in results.items()}
    if any(told.values()):
        drawn.add_column("failures")
    for name, scores in results.items():
        for part in ("utterance", "image", "joint"):
            head = name if part == "utterance" else ""
            values = [percent(defined(scores)[part][metric]) for metric in NAMES]
            drawn.add_row(head, part, *values, *([told[name]] if head and told[name] else []))
    _draw(drawn, to)
    for name, scores in results.items():
        kind = "synthetic, " if scores.get("synthetic") else ""
        how = f"{kind}{scores['protocol']} protocol, {scores['average']} average"
        to.print(f"{name}: {scores['samples']} samples, {how}", style="dim", soft_wrap=True)
        for line in similarity.in_words(scores):
            to.print(f"{name}: {line}", style="dim", soft_wrap=True)


def print_shares(shares: dict[str, Scorer], average: Average, to: Console) -> None:
    """One line a share: how many requests, joint scores, F1 of each modality, exact answers.

    Where nothing matches there is no true positive, and only the exact answers say something.
    """
    headers = ["share", "requests", *HEADERS.values(), "utterance F1", "image F1", "exact"]
    rows = []
    for share, scorer in shares.items():
        scores = defined(scorer.result(average))
        values = [scores["joint"][metric] for metric in NAMES]
        values += [scores["utterance"]["f1"], scores["image"]["f1"], scorer.exact]
        rows.append([share, str(scorer.samples), *map(percent, values)])
    print_rows(headers, rows, to, numbers=range(1, len(headers)))


def print_rows(
    headers: list[str], rows: Iterable[list[str]], to: Console, *, numbers: range = range(0)
) -> None:
    """A plain listing; the columns of these `numbers` (from 0) stand to the right."""
    drawn = _grid(to)
    for place, header in enumerate(headers):
        drawn.add_column(header, overflow="fold", justify="right" if place in numbers else "left")
    for row in rows:
        drawn.add_row(*row)
    _draw(drawn, to)
