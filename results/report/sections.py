"""What a report shows: runs and prediction files, those with the same requests beside each other."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from f2rcli.results.baseline import is_baseline
from f2rcli.results.cautions import recorded
from f2rcli.results.compare import Comparison, compare, corrected
from f2rcli.results.labels import run_name
from f2rcli.results.lengths import by_length
from f2rcli.results.outcomes import Side
from f2rcli.results.runs import ANSWERS, PREDICTIONS, RECORD, SCORES, RunFolder
from f2rcli.results.sides import read_side
from f2rcli.results.tables import find_runs
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.predictions import Prediction, parse_prediction
from f2rcli.tasks.scoring import Protocol, Scorer


@dataclass(slots=True)
class Column:
    """A run or a prediction file. `lines` and `predictions` are in the order of `side.samples`;
    `record` is its run.json, None for a bare file."""

    label: str
    side: Side
    record: dict[str, Any] | None
    lines: list[dict[str, Any]]
    predictions: list[Prediction]

    def scorer(self, protocol: Protocol) -> Scorer:
        scorer = Scorer(protocol)
        for prediction in self.predictions:
            scorer.add(prediction)
        return scorer

    def lengths(self, protocol: Protocol) -> dict[str, Scorer]:
        return by_length(self.predictions, protocol)

    @property
    def files(self) -> list[Path]:
        """What it was read from."""
        source = self.side.source
        if self.record is None:
            return [source]
        return [source / name for name in (RECORD, ANSWERS, PREDICTIONS, SCORES)]


@dataclass(slots=True)
class Section:
    """Columns that were asked the same requests, under one protocol.

    `comparisons` has one for every column but `base`, in their order; `base` is None where there is
    nothing to compare.
    """

    title: str
    protocol: Protocol
    columns: list[Column]
    base: Column | None = None
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def synthetic(self) -> bool:
        return all(column.side.synthetic for column in self.columns)

    def compared(self) -> Iterator[tuple[Column, Comparison]]:
        others = [column for column in self.columns if column is not self.base]
        return zip(others, self.comparisons, strict=True)


def read_sections(
    paths: Iterable[Path], protocol: Protocol | None = None, against: str | None = None
) -> tuple[list[Section], list[str]]:
    """Sections, and notes on unfinished runs that cannot be shown and on how to read others.

    `protocol` overrides the tasks' own; `against` names the column that the others are compared with
    (the first of a section where it is None). Raises InputError for what cannot be read, and where
    no column is called `against`.
    """
    notes: list[str] = []
    columns = [column for path in _found(paths) if (column := _column(path, notes))]
    if not columns:
        raise InputError("nothing to show", fix=" ".join(notes))
    groups: dict[frozenset[tuple[str, int]], list[Column]] = {}
    for column in columns:
        groups.setdefault(frozenset(column.side.keyed()), []).append(column)
    names = _numbered([_title(group[0]) for group in groups.values()])
    sections = []
    for title, group in zip(names, groups.values(), strict=True):
        for column, label in zip(group, _numbered([c.label for c in group]), strict=True):
            column.label = label
        own = next((column for column in group if column.record), group[0])
        sections.append(_compared(Section(title, protocol or own.side.protocol, group), against))
    labels = dict.fromkeys(column.label for column in columns)
    if against is not None and against not in labels:
        raise InputError(f"no run is called {against!r}", fix=f"there are {', '.join(labels)}")
    return sections, notes


def _found(paths: Iterable[Path]) -> list[Path]:
    """Run folders and prediction files, each once, in the order given."""
    found: dict[Path, Path] = {}
    for path in paths:
        if path.is_file() and is_baseline(path):
            raise InputError("a baseline has no dialogues to show", where=str(path), fix="give its run")
        inside = [path] if path.is_file() else [run.path for run in find_runs([path])]
        for one in inside:
            found.setdefault(one.resolve(), one)
    return list(found.values())


def _column(path: Path, notes: list[str]) -> Column | None:
    record = RunFolder(path).record() if RunFolder.is_one(path) else None
    try:
        side = read_side(path)
    except InputError as error:
        if record is None or record["finished"] is not None:
            raise
        name, task = record["model"]["name"], record["task"]["name"]
        notes.append(f"{name} on {task} is not shown: {error}")
        return None
    if record:
        name = f"{run_name(record)} on {record['task']['name']}"
        notes += [f"{name}: {caution}" for caution in recorded(record)]
    lines = [dict(entry.value) for entry in read_values(path / PREDICTIONS if record else path)]
    predictions = [parse_prediction(line, str(number)) for number, line in enumerate(lines)]
    return Column(run_name(record) if record else side.name, side, record, lines, predictions)


def _title(column: Column) -> str:
    if column.record is None:
        return column.side.name
    limit = column.record["task"]["limit"]
    return str(column.record["task"]["name"]) + (f", {limit} requests of it" if limit else "")


def _numbered(names: list[str]) -> list[str]:
    """Names, numbered from their second time on."""
    seen: Counter[str] = Counter()
    made = []
    for name in names:
        seen[name] += 1
        made.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return made


def _compared(section: Section, against: str | None) -> Section:
    """With the differences, which are forced where only the pictures are not the same (and say so)."""
    named = [column for column in section.columns if against in (None, column.label)]
    if not named or len(section.columns) < 2:
        return section
    section.base = named[0]
    section.comparisons = [
        compare(section.base.side, column.side, protocol=section.protocol, force=True)
        for column in section.columns
        if column is not section.base
    ]
    if len(section.comparisons) > 1:
        section.comparisons = corrected(section.comparisons)
    return section
