"""Plots as inline SVG: a row a mark, with its label before it and its number behind it.

Everything is drawn in the colour of the text or by a class of the page's style sheet, so that the
plots can be read in the light and in the dark.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup
from rich.cells import cell_len, set_cell_size

# In units of the drawing, which is as wide as a phone.
WIDTH, ROW, HEAD = 360, 20, 26
LEFT, RIGHT = 118, 296  # where marks begin and end
LABEL = 17  # cells of a label that fit before them


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar from 0 to `value`, or (with `low` and `high`) a point in its interval; `text` is what is
    printed behind it. Muted ones are rows of reference."""

    label: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    muted: bool = False


Groups = Sequence[tuple[str, Sequence[Mark]]]
Draw = Callable[[ElementTree.Element, Mark, float], None]


def bars(title: str, groups: Groups, largest: float) -> Markup:
    """Bars of values from 0 to `largest`, a heading a group."""

    def draw(svg: ElementTree.Element, mark: Mark, y: float) -> None:
        width = (RIGHT - LEFT) * mark.value / largest if largest else 0.0
        name = "bar muted" if mark.muted else "bar"
        add(svg, "rect", x=LEFT, y=y - 6, width=max(width, 1), height=12, **{"class": name})

    return _markup(_frame(title, groups, draw, LEFT))


def intervals(title: str, groups: Groups) -> Markup:
    """Points with their intervals about 0, which is in the middle and marked."""
    marks = [mark for _, group in groups for mark in group]
    ends = [abs(end) for m in marks for end in (m.value, m.low, m.high) if end is not None]
    scale = (RIGHT - LEFT) / 2 / (max(ends, default=0) or 1)
    middle = (LEFT + RIGHT) / 2

    def draw(svg: ElementTree.Element, mark: Mark, y: float) -> None:
        if mark.low is not None and mark.high is not None:
            low, high = middle + scale * mark.low, middle + scale * mark.high
            add(svg, "line", x1=low, x2=high, y1=y, y2=y, **{"class": "interval"})
            for end in (low, high):
                add(svg, "line", x1=end, x2=end, y1=y - 4, y2=y + 4, **{"class": "interval"})
        add(svg, "circle", cx=middle + scale * mark.value, cy=y, r=4, **{"class": "bar"})

    return _markup(_frame(title, groups, draw, middle))


def _frame(title: str, groups: Groups, draw: Draw, zero: float) -> ElementTree.Element:
    """Labels, numbers and headings, each mark drawn at the middle of its row, a line at zero."""
    height = sum(HEAD + ROW * len(group) for _, group in groups) + 4
    shape = {"viewBox": f"0 0 {WIDTH} {height}", "class": "plot", "role": "img", "aria-label": title}
    svg = ElementTree.Element("svg", shape)
    add(svg, "title").text = title
    y = 0.0
    for name, group in groups:
        _text(svg, 0, y + HEAD - 8, name, "group")
        y += HEAD
        bottom = y + ROW * len(group)
        add(svg, "line", x1=zero, x2=zero, y1=y, y2=bottom, stroke="currentColor", **{"class": "axis"})
        for mark in group:
            _text(svg, LEFT - 6, y + ROW / 2 + 4, _short(mark.label), "label", "end")
            draw(svg, mark, y + ROW / 2)
            _text(svg, WIDTH, y + ROW / 2 + 4, mark.text, "value", "end")
            y += ROW
    return svg


def add(parent: ElementTree.Element, tag: str, **attributes: object) -> ElementTree.Element:
    shown = {k: f"{v:.1f}" if isinstance(v, float) else str(v) for k, v in attributes.items()}
    return ElementTree.SubElement(parent, tag, shown)


def _text(
    svg: ElementTree.Element, x: float, y: float, text: str, name: str, anchor: str = "start"
) -> None:
    made = add(svg, "text", x=x, y=y, fill="currentColor", **{"class": name, "text-anchor": anchor})
    made.text = text


def _short(label: str) -> str:
    """A label that fits; the whole one is in the table beneath."""
    return label if cell_len(label) <= LABEL else set_cell_size(label, LABEL - 1).rstrip() + "…"


def _markup(svg: ElementTree.Element) -> Markup:
    """(ElementTree escapes what labels hold.)"""
    return Markup(ElementTree.tostring(svg, encoding="unicode"))
