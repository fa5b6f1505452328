"""Drawing tables with Rich: in colour on a terminal, plain text in a pipe."""

import sys
from collections.abc import Iterable
from typing import IO, Any

import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console

from f2rcli.results.tables import Table
from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.scoring import Average, Scorer

HEADERS = {"precision": "P", "recall": "R", "f1": "F1", "mcc": "MCC"}
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


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def print_table(table: Table, parts: Iterable[str], to: Console) -> None:
    """One table a part (joint, utterance, image), as many tasks beside each other as fit."""
    tasks = list(table.tasks)
    head = max((cell_len(line) + 3 for task in tasks for line in _head(table, task)), default=0)
    width = (
        max(NUMBER_WIDTH, head) + 3 * NUMBER_WIDTH + (FAILURES_WIDTH if _failing(table, tasks) else 0)
    )
    fitting = max(1, (to.width - MODEL_WIDTH) // width)
    for part in parts:
        for begin in range(0, len(tasks), fitting):
            _print_part(table, part, tasks[begin : begin + fitting], to)
    for note in _notes(table):
        to.print(note, style="dim", soft_wrap=True)


def _print_part(table: Table, part: str, tasks: list[str], to: Console) -> None:
    drawn = _grid(to)
    drawn.add_column(f"{part}, %", overflow="fold")
    drawn.add_column("trained", overflow="fold")
    failing = _failing(table, tasks)
    for task in tasks:
        for number, metric in enumerate(NAMES):
            head = _head(table, task) if number == 0 else []
            drawn.add_column("\n".join([*head, HEADERS[metric]]), justify="right", no_wrap=True)
        if task in failing:
            drawn.add_column("\nfailures", overflow="fold")
    for row in table.rows:
        cells = [row.model, row.trained]
        for task in tasks:
            scores = row.scores.get(task)
            values = (scores or {}).get(part, {})
            cells += [percent(values.get(metric)) if scores else "" for metric in NAMES]
            if task in failing:
                cells.append(", ".join(_remarks(scores, part)))
        if any(part in row.scores.get(task, {}) for task in tasks):
            drawn.add_row(*cells, style=STYLES.get(row.kind, ""))
    _draw(drawn, to)


def _head(table: Table, task: str) -> list[str]:
    """What stands above a task's first numbers."""
    return [task, "(synthetic)"] if task in table.synthetic else [task]


def _failing(table: Table, tasks: list[str]) -> set[str]:
    """Tasks that have a column for failures."""
    return {task for task in tasks for row in table.rows if _remarks(row.scores.get(task))}


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


def _remarks(scores: dict[str, Any] | None, part: str = "joint") -> list[str]:
    """Failures and coverage, where they are not 0 and 100 %."""
    if not scores or "failures" not in scores:
        return []
    remarks = []
    if scores["coverage"] < 1:
        answered = scores["answered"][part]["f1"]
        remarks.append(
            f"coverage {percent(scores['coverage'])} % (F1 of the answered {percent(answered)})"
        )
    remarks += [f"{count} {kind}" for kind, count in scores["failures"].items() if count]
    if scores["out_of_range_ids"]:
        remarks.append(f"{scores['out_of_range_ids']} ids out of range")
    return remarks


def _notes(table: Table) -> list[str]:
    notes = []
    for task, protocol in table.tasks.items():
        samples = {s["samples"] for row in table.rows if (s := row.scores.get(task)) and "samples" in s}
        count = " or ".join(str(number) for number in sorted(samples))
        kind = "synthetic, " if task in table.synthetic else ""
        notes.append(f"{task}: {count} requests, {kind}{protocol} protocol, micro average")
    return notes + table.notes


def print_scores(results: dict[str, dict[str, Any]], to: Console) -> None:
    """Every part of every file's scores (the object of scores.json)."""
    drawn = _grid(to)
    for header in ("file", "%"):
        drawn.add_column(header, overflow="fold")
    for metric in NAMES:
        drawn.add_column(HEADERS[metric], justify="right")
    remarks = {name: ", ".join(_remarks(scores)) for name, scores in results.items()}
    if any(remarks.values()):
        drawn.add_column("failures")
    for name, scores in results.items():
        for part in ("utterance", "image", "joint"):
            head = name if part == "utterance" else ""
            values = [percent(scores[part][metric]) for metric in NAMES]
            drawn.add_row(head, part, *values, *([remarks[name]] if head and remarks[name] else []))
    _draw(drawn, to)
    for name, scores in results.items():
        kind = "synthetic, " if scores.get("synthetic") else ""
        how = f"{kind}{scores['protocol']} protocol, {scores['average']} average"
        to.print(f"{name}: {scores['samples']} samples, {how}", style="dim", soft_wrap=True)


def print_shares(shares: dict[str, Scorer], average: Average, to: Console) -> None:
    """One line a share: how many requests, joint scores, F1 of each modality, exact answers.

    Where nothing matches there is no true positive, and only the exact answers say something.
    """
    headers = ["share", "requests", *HEADERS.values(), "utterance F1", "image F1", "exact"]
    drawn = _grid(to)
    for number, header in enumerate(headers):
        drawn.add_column(header, justify="right" if number else "left")
    for share, scorer in shares.items():
        scores = scorer.result(average)
        values = [scores["joint"][metric] for metric in NAMES]
        values += [scores["utterance"]["f1"], scores["image"]["f1"], scorer.exact]
        drawn.add_row(share, str(scorer.samples), *map(percent, values))
    _draw(drawn, to)


def print_rows(headers: list[str], rows: Iterable[list[str]], to: Console) -> None:
    """A plain listing."""
    drawn = _grid(to)
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    _draw(drawn, to)
