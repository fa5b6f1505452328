"""A table for programs: every value at full precision, as CSV or JSON."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from io import StringIO
from typing import Any

import f2rcli
from f2rcli.results.bootstrap import RESAMPLES, SEED
from f2rcli.results.cells import LEVEL, Sheet
from f2rcli.results.labels import asked, seed_of
from f2rcli.results.rows import Row
from f2rcli.results.runs import RunFolder
from f2rcli.results.significance import Significance

NAMES = (
    *("model", "trained", "kind", "task", "protocol", "synthetic", "metric", "turns"),
    *("value", "sd", "runs", "requests", "coverage", "p_holm"),
)
FORMULA = ("=", "+", "-", "@")


def records(sheet: Sheet) -> Iterator[dict[str, Any]]:
    """One object a value: a model × a task × a metric (× a length of dialogue)."""
    table = sheet.table
    for panel in sheet.panels:
        for line in panel.lines:
            scores = line.row.scores
            for task, columns in panel.groups.items():
                for column, cell in zip(columns, line.cells[task], strict=False):
                    if column.unit in ("text", "remark") or not cell.text:
                        continue
                    values = (
                        *(line.row.model, line.row.trained, line.row.kind, task, table.tasks[task]),
                        *(task in table.synthetic, column.metric, column.turns or None),
                        *(cell.value, cell.sd, len(line.row.runs.get(task, ())), cell.requests),
                        *(scores.get(task, {}).get("coverage"), cell.p),
                    )
                    yield dict(zip(NAMES, values, strict=True))


def as_csv(sheet: Sheet) -> str:
    """One line a value, under a header."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(NAMES)
    for record in records(sheet):
        writer.writerow([_inert(value) for value in record.values()])
    return text.getvalue()


def _inert(value: Any) -> Any:
    """Text that a spreadsheet takes for text: with an apostrophe where it would be a formula."""
    if isinstance(value, str) and value.lstrip().startswith(FORMULA):
        return f"'{value}"
    return value


def as_json(sheet: Sheet, tests: Significance | None) -> str:
    """All that is known: tasks, rows with their runs and scores, the layout's values, tests, notes."""
    table = sheet.table
    made = {
        "f2r": f2rcli.__version__,
        "layout": sheet.layout,
        "tasks": {
            task: {"protocol": protocol, "average": "micro", "synthetic": task in table.synthetic}
            for task, protocol in table.tasks.items()
        },
        "rows": [_row(row) for row in table.rows],
        "values": list(records(sheet)),
        "significance": _tests(tests) if tests else None,
        "notes": sheet.all_notes(),
    }
    return json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def _row(row: Row) -> dict[str, Any]:
    return {
        "model": row.model,
        "trained": row.trained,
        "kind": row.kind,
        "probed": row.probed,
        "scores": row.scores,
        "sd": row.sd,
        "runs": {task: [_run(run) for run in runs] for task, runs in row.runs.items()},
    }


def _run(run: RunFolder) -> dict[str, Any]:
    record = run.record()
    requests, pictures = asked(record)
    return {
        "path": str(run.path),
        "started": record.get("started"),
        "finished": record["finished"],
        "seed": seed_of(record),
        "file_digest": record["task"].get("file_digest"),
        "requests_digest": requests,
        "images_digest": pictures,
    }


def _tests(tests: Significance) -> dict[str, Any]:
    return {
        "against": tests.against.model,
        "test": "paired bootstrap over dialogues, two-sided",
        "correction": "Holm, over the rows, task by task and metric by metric",
        "level": LEVEL,
        "resamples": RESAMPLES,
        "seed": SEED,
        "comparisons": [
            {
                "model": model,
                "task": task,
                "requests": len(one.pairs),
                "dialogues": one.dialogues,
                "differences": {
                    metric: {**asdict(found), "difference": found.value}
                    for metric, found in one.differences.items()
                },
            }
            for (model, task), one in tests.comparisons.items()
        ],
    }
