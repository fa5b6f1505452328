"""One sheet in any of the formats."""

from typing import IO

from f2rcli.results.cells import Sheet
from f2rcli.results.formats.latex import latex
from f2rcli.results.formats.markdown import markdown
from f2rcli.results.formats.values import as_csv, as_json
from f2rcli.results.render import console, print_sheet
from f2rcli.results.significance import Significance


def draw(sheet: Sheet, form: str, tests: Significance | None, to: IO[str]) -> None:
    """Write a sheet as `rich`, `latex`, `markdown`, `csv` or `json`."""
    if form == "rich":
        print_sheet(sheet, console(to))
    elif form == "json":
        to.write(as_json(sheet, tests))
    else:
        to.write({"latex": latex, "markdown": markdown, "csv": as_csv}[form](sheet))
