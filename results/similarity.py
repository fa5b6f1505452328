"""Relevance and coherence in tables: which cells there are."""

from collections.abc import Iterator
from typing import Any

from f2rcli.results.cells import Cell, Column, Line, Panel, cosine, count
from f2rcli.results.rows import Row, Table
from f2rcli.tasks.similarity import Similarity

COLUMNS = [
    *(
        Column(header, metric, "cosine")
        for name in Similarity._fields
        for header, metric in ((name, name), ("random", f"{name}.random"))
    ),
    Column("undefined", "undefined", "text"),
]


def panel(table: Table) -> Panel:
    """Relevance and coherence, each beside that of random fragments alike; the gold fragments' last.

    `undefined` counts requests without relevance, without coherence.
    """
    tasks = [task for task in table.tasks if table.encoder(task)]
    gold = Line(Row("gold", "", "reference"), {task: [] for task in tasks})
    made = Panel("mean cosine", dict.fromkeys(tasks, COLUMNS), [], trained=False)
    for row in table.rows:
        line = Line(row, {task: [] for task in tasks})
        for task in tasks:
            if scores := table.measured(task, row):
                beside = scores["similarity"]
                sd = row.sd.get(task, {})
                line.cells[task] = _cells(scores, sd, beside, scores["samples"])
                gold.cells[task] = _cells(beside["gold"], {}, beside["gold"], scores["samples"])
        if any(line.cells.values()):
            made.lines.append(line)
    if made.lines:
        made.lines.append(gold)
    return made


def _cells(
    means: dict[str, Any], sd: dict[str, Any], beside: dict[str, Any], samples: float
) -> list[Cell]:
    """`beside` has the number of undefined ones and, but for gold fragments, the random ones' means."""
    undefined, random, cells = beside["undefined"], beside.get("random"), []
    for number, metric in enumerate(Similarity._fields):
        own, chance = COLUMNS[2 * number : 2 * number + 2]
        defined = samples - undefined[metric]
        cells.append(own.cell(means[metric], sd.get(metric), defined))
        cells.append(chance.cell(random[metric], None, defined) if random else Cell(""))
    return [*cells, Cell(", ".join(count(undefined[metric]) for metric in Similarity._fields))]


def notes(table: Table) -> list[str]:
    """By what it was measured, and what is not shown for that reason."""
    encoders = {encoder[0] for task in table.tasks if (encoder := table.encoder(task))}
    others = [
        f"{row.model} on {task}: measured by another encoder, {found['encoder'] or 'several'}"
        for row in table.rows
        for task, scores in row.scores.items()
        if (found := scores.get("similarity")) and not table.measured(task, row)
    ]
    return [
        *(
            f"relevance and coherence by {name}; random: as many texts and pictures, drawn at random"
            for name in sorted(encoders)
        ),
        *others,
    ]


def in_words(scores: dict[str, Any]) -> Iterator[str]:
    """A line for each of the two with what it stands beside; none where nothing was measured."""
    if not (beside := scores.get("similarity")):
        return
    for metric in Similarity._fields:
        random, gold = cosine(beside["random"][metric]), cosine(beside["gold"][metric])
        undefined = beside["undefined"][metric]
        yield (
            f"{metric} {cosine(scores[metric])} (random {random}, gold {gold}; undefined for "
            f"{undefined}) by {beside['encoder']}"
        )
