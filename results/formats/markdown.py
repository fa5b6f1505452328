"""A table for a README, an issue or a job summary: GitHub's Markdown."""

import re

import tabulate

from f2rcli.results.cells import Cell, Panel, Sheet, plain

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")
BEGINS_A_BLOCK = re.compile(r"^(\d*)([-+=.)])")


def escaped(text: str) -> str:
    """Text that is shown as it is written here, on one line, at its start as well."""
    return BEGINS_A_BLOCK.sub(r"\1\\\2", SPECIAL.sub(r"\\\1", plain(text)))


def markdown(sheet: Sheet) -> str:
    """Every panel as a table, then the notes as a list."""
    parts = [_panel(sheet, panel) for panel in sheet.panels if panel.lines]
    parts.append("\n".join(f"- {_note(note)}" for note in sheet.paper_notes()))
    return "\n\n".join(parts) + "\n"


def _note(note: str) -> str:
    return rf"\* {escaped(note[2:])}" if note.startswith("* ") else escaped(note)


def _panel(sheet: Sheet, panel: Panel) -> str:
    """There is one line of headers only, so that each names its task."""
    stubs = [panel.title, "trained"][: 1 + panel.trained]
    numbers = [
        f"{sheet.head(task)}: {column.header}"
        for task, columns in panel.columns().items()
        for column in columns
    ]
    rows = [
        [
            *map(escaped, [line.row.model, line.row.trained][: len(stubs)]),
            *map(_cell, line.numbers(panel)),
        ]
        for line in panel.lines
    ]
    return tabulate.tabulate(
        rows,
        [*map(escaped, stubs), *map(escaped, numbers)],
        tablefmt="pipe",
        colalign=["left"] * len(stubs) + ["right"] * len(numbers),
        disable_numparse=True,
    )


def _cell(cell: Cell) -> str:
    face = {1: "**%s**", 2: "<u>%s</u>"}.get(cell.place, "%s")
    spread = f" ± {cell.spread}" if cell.spread else ""
    return face % cell.text + spread + r"\*" * cell.significant
