"""A table for a LaTeX paper: booktabs, with its notes and with where its numbers come from."""

import re
import unicodedata
from collections.abc import Iterator

import tabulate

import f2rcli
from f2rcli.results.cells import Cell, Panel, Sheet, plain
from f2rcli.results.labels import asked

DIGEST = 12  # characters of a digest that are told
EAST_ASIAN = ("W", "F")  # widths of characters that the usual fonts lack
ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",  # \textquotedbl lacks in OT1
    "`": r"\textasciigrave{}",
    "[": "{[}",  # these two and * would be read as arguments of the \\ before them
    "]": "{]}",
    "*": "{*}",
    "\N{EN DASH}": "--",
    "\N{DAGGER}": r"\textdagger{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is written here, whatever it says, on one line."""
    found = "".join(ESCAPES.get(sign, sign) for sign in re.sub(r"([-',])(?=\1)", "\\1\0", plain(text)))
    return found.replace("\0", "{}")  # between signs that would become another sign together


def latex(sheet: Sheet) -> str:
    """A `table` environment, to be put into a paper as it is."""
    body = [r"\begin{table}", r"\centering"]
    for number, panel in enumerate(panel for panel in sheet.panels if panel.lines):
        body += [r"\par\medskip"] * bool(number)
        body.append(_tabular(sheet, panel))
    body += [r"\par\smallskip", r"\footnotesize\raggedright"]
    body += [rf"{_starred(note)}\par" for note in sheet.paper_notes()]
    body.append(r"\end{table}")
    return "\n".join([*_comments(sheet, "\n".join(body)), *body]) + "\n"


def _starred(note: str) -> str:
    """A note; the star that it explains looks as it does in the table."""
    return rf"$^{{*}}$ {escaped(note[2:])}" if note.startswith("* ") else escaped(note)


def _comments(sheet: Sheet, body: str) -> Iterator[str]:
    yield f"% Made by f2r {f2rcli.__version__}, layout {sheet.layout}."
    yield r"% \usepackage{booktabs}"
    if any(unicodedata.east_asian_width(sign) in EAST_ASIAN for sign in body):
        yield r"% \usepackage{xeCJK} and XeLaTeX, for Chinese, Japanese and Korean"
    tasks: dict[str, str] = {}
    runs = []
    for row in sheet.table.rows:
        for task, several in row.runs.items():
            for run in several:
                record = run.record()
                file = record["task"].get("file_digest") or "not known"
                digests = f"file {file[:DIGEST]}…, requests {asked(record)[0][:DIGEST]}…"
                tasks.setdefault(task, digests)
                runs.append(f"% run of {plain(row.model)} on {plain(task)}: {plain(str(run.path))}")
    for task, digests in tasks.items():
        yield f"% task {plain(task)}: {sheet.table.tasks[task]} protocol; SHA-256: {digests}"
    yield from runs


def _tabular(sheet: Sheet, panel: Panel) -> str:
    """Drawn by tabulate, in a format that has the tasks' names above the header."""
    groups = panel.columns()
    stubs = [panel.title, "trained"][: 1 + panel.trained]
    first, names, rules = len(stubs) + 1, [""] * len(stubs), []
    for task, columns in groups.items():
        last = first + len(columns) - 1
        names.append(rf"\multicolumn{{{len(columns)}}}{{c}}{{{escaped(sheet.head(task))}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{last}}}")
        first = last + 1
    headers = [*map(escaped, stubs), *(escaped(c.header) for own in groups.values() for c in own)]
    rows = [
        [
            *map(escaped, [line.row.model, line.row.trained][: len(stubs)]),
            *map(_cell, line.numbers(panel)),
        ]
        for line in panel.lines
    ]
    spec = "l" * len(stubs) + "r" * (len(headers) - len(stubs))
    above = [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", rf"{' & '.join(names)} \\", " ".join(rules)]
    line = tabulate.DataRow("", "&", r" \\")
    booktabs = tabulate.TableFormat(
        lineabove=tabulate.Line("\n".join(above), "", "", ""),
        linebelowheader=tabulate.Line(r"\midrule", "", "", ""),
        linebetweenrows=None,
        linebelow=tabulate.Line("\\bottomrule\n\\end{tabular}", "", "", ""),
        headerrow=line,
        datarow=line,
        padding=1,
        with_header_hide=None,
    )
    return tabulate.tabulate(rows, headers, tablefmt=booktabs, disable_numparse=True)


def _cell(cell: Cell) -> str:
    face = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.place, "%s")
    spread = rf" $\pm$ {cell.spread}" if cell.spread else ""
    return face % _number(cell.text) + spread + r"\rlap{$^{*}$}" * cell.significant


def _number(text: str) -> str:
    """With a minus that looks like one."""
    return rf"$-${text[1:]}" if text.startswith("-") else escaped(text)
