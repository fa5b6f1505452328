"""The tables and plots of a section."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from f2rcli.results.cells import HEADERS, defined, percent, points, remarks
from f2rcli.results.compare import Comparison
from f2rcli.results.lengths import LENGTHS
from f2rcli.results.render_comparison import SHOWN, basis, interval
from f2rcli.results.render_comparison import remarks as comparison_remarks
from f2rcli.results.report.plots import Mark, bars, intervals
from f2rcli.results.report.sections import Column, Section
from f2rcli.tasks.metrics import NAMES
from f2rcli.tasks.scoring import Scorer
from f2rcli.tasks.types import FAILURE_KINDS


@dataclass(slots=True)
class Figure:
    """A plot, and its numbers as a table; `lines` say what they rest on.

    The last `words` columns hold text, all others but the first hold numbers.
    """

    title: str
    plot: Markup | None
    headers: list[str]
    rows: list[list[str]]
    lines: list[str]
    words: int = 0


def requests_of(section: Section) -> str:
    """What a section's numbers rest on."""
    dialogues = len({sample.dialogue for sample in section.columns[0].side.samples})
    kind = "synthetic, " if section.synthetic else ""
    asked = f"{len(section.columns[0].predictions)} requests of {dialogues} dialogues"
    return f"{asked}, {kind}{section.protocol} protocol, micro average"


def summary(section: Section, scorers: list[Scorer]) -> Figure:
    """The table of scores; failures have a column where there are any."""
    results = [defined(scorer.result()) for scorer in scorers]
    told = [", ".join(remarks(result)) for result in results]
    headers = ["model", *(f"joint {HEADERS[name]}" for name in NAMES)]
    headers += ["utterance F1", "image F1", "exact"]
    words = ["trained", "run", *(["failures"] if any(told) else [])]
    rows = []
    for column, scorer, result, remark in zip(section.columns, scorers, results, told, strict=True):
        values = [result["joint"][name] for name in NAMES]
        values += [result["utterance"]["f1"], result["image"]["f1"], scorer.exact]
        row = [column.label, *map(percent, values), _trained(column), _run(column)]
        rows.append(row + ([remark or "none"] if any(told) else []))
    return Figure("Scores, %", None, headers + words, rows, [], words=len(words))


def _trained(column: Column) -> str:
    return column.record["model"]["trained"] if column.record else "not known"


def _run(column: Column) -> str:
    """A run's folder, whose name ends in its digest, and the day it was started."""
    started = f", {str(column.record.get('started'))[:10]}" if column.record else ""
    return column.side.source.name + started


def by_length(section: Section) -> Figure:
    lengths = [column.lengths(section.protocol) for column in section.columns]
    groups, used = [], [name for name in LENGTHS if lengths[0][name].samples]
    for name in used:
        scored = [
            (column, defined(by[name].result()))
            for column, by in zip(section.columns, lengths, strict=True)
        ]
        marks = [
            Mark(
                c.label,
                result["joint"]["f1"] or 0.0,
                percent(result["joint"]["f1"]),
                muted=_reference(c),
            )
            for c, result in scored
        ]
        groups.append((f"{name} turns ({lengths[0][name].samples} requests)", marks))
    rows = [
        [column.label, *(percent(defined(by[name].result())["joint"]["f1"]) for name in used)]
        for column, by in zip(section.columns, lengths, strict=True)
    ]
    missing = [f"no dialogue has {name} turns" for name in LENGTHS if name not in used]
    headers = ["model", *(f"{name} turns" for name in used)]
    title = "Joint F1 by length of the dialogue, %"
    return Figure(title, bars(title, groups, 1.0), headers, rows, missing)


def failures(section: Section, scorers: list[Scorer]) -> Figure:
    kinds = [kind for kind in FAILURE_KINDS if any(scorer.failures[kind] for scorer in scorers)]
    pairs = list(zip(section.columns, scorers, strict=True))
    groups = [
        (
            kind,
            [
                Mark(c.label, s.failures[kind], str(s.failures[kind]), muted=_reference(c))
                for c, s in pairs
            ],
        )
        for kind in kinds
    ]
    title = "Requests that failed, by kind"
    unasked = ["not asked"] * any(scorer.unasked for scorer in scorers)
    headers = ["model", *kinds, *unasked, "coverage, %", "ids out of range"]
    rows = [
        [
            column.label,
            *(str(scorer.failures[kind]) for kind in kinds),
            *(str(scorer.unasked) for _ in unasked),
            percent(scorer.answered.samples / scorer.samples),
            str(scorer.out_of_range),
        ]
        for column, scorer in pairs
    ]
    everything = all(scorer.answered.samples == scorer.samples for scorer in scorers)
    lines = ["No request failed: coverage is 100 %."] if everything and not kinds else []
    plot = bars(title, groups, scorers[0].samples) if kinds else None
    return Figure(title, plot, headers, rows, lines)


def differences(section: Section) -> Figure:
    assert section.base
    compared = list(section.compared())
    groups = []
    for name, called in (
        ("joint.f1", "joint F1"),
        ("utterance.f1", "utterance F1"),
        ("image.f1", "image F1"),
    ):
        found = [(column, comparison.differences[name]) for column, comparison in compared]
        groups.append(
            (called, [Mark(c.label, d.value, points(d.value), d.low, d.high) for c, d in found])
        )
    rows = [row for column, comparison in compared for row in _difference_rows(column.label, comparison)]
    headers = ["model", "metric", "base", "new", "difference", "95 % interval", "p"]
    headers += ["p (Holm)"] if len(compared) > 1 else []
    title = f"Difference from {section.base.label}, points, with 95 % intervals"
    return Figure(title, intervals(title, groups), headers, rows, _told(compared))


def _difference_rows(label: str, comparison: Comparison) -> Iterable[list[str]]:
    for name in SHOWN:
        part, metric = name.split(".")
        d = comparison.differences[name]
        ps = [f"{p:.4f}" for p in (d.p, d.p_holm) if p is not None]
        values = [percent(d.base), percent(d.new), points(d.value), interval(d)]
        yield [label, f"{part} {HEADERS[metric]}", *values, *ps]


def _told(compared: list[tuple[Column, Comparison]]) -> list[str]:
    """What differences rest on, and whatever keeps them from speaking for themselves."""
    lines = [f"{basis(compared[0][1])}."]
    for column, comparison in compared:
        lines += [f"{column.label}: {remark}" for remark in comparison_remarks(comparison)]
    return lines


def _reference(column: Column) -> bool:
    return _trained(column) == "reference"
