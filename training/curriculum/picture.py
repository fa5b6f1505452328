"""F1 against entropy as an SVG that stands alone: every sample, its class, and the quartiles."""

from collections.abc import Sequence
from xml.etree import ElementTree

from f2rcli.results.report.plots import add
from f2rcli.training.curriculum.difficulty import Curriculum, Difficulty

WIDTH, HEIGHT = 640, 420  # in pixels, as the rest
LEFT, RIGHT, TOP, BOTTOM = 56, 620, 64, 376  # where F1 is 1 and 0, and entropy 0 and its largest
COLOURS: dict[Difficulty, str] = {  # of Okabe and Ito, which the colour-blind tell apart
    "easy": "#009E73",
    "middle": "#0072B2",
    "confusing": "#E69F00",
    "hard": "#D55E00",
}
GREY = "#767676"


def scatter(title: str, curriculum: Curriculum) -> str:
    """What is kept is a filled circle, what is not an empty one; quartiles are dashed lines."""
    largest = max(sample.entropy for sample in curriculum.samples)
    largest = largest if largest > 0 else 1.0

    def x(entropy: float) -> float:
        return LEFT + (RIGHT - LEFT) * max(0.0, entropy) / largest

    def y(f1: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * f1

    svg = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "font-family": "sans-serif",
            "font-size": "12",
            "role": "img",
            "aria-label": title,
        },
    )
    add(svg, "title").text = title
    add(svg, "rect", width=WIDTH, height=HEIGHT, fill="white")
    _text(svg, LEFT, 20, title)
    _text(svg, RIGHT, 20, "filled: kept", "end")
    _axes(svg, [(x(largest * k / 4), f"{largest * k / 4:.2f}") for k in range(5)])
    for value in curriculum.quartiles.entropy:
        _line(svg, x(value), x(value), TOP, BOTTOM, dashed=True)
    for value in curriculum.quartiles.f1:
        _line(svg, LEFT, RIGHT, y(value), y(value), dashed=True)
    for number, (difficulty, samples) in enumerate(curriculum.classes.items()):
        colour = COLOURS[difficulty]
        kept = {sample.request for sample in curriculum.kept[difficulty]}
        group = add(svg, "g", id=difficulty, stroke=colour)
        for sample in samples:
            fill = (
                {"fill": colour, "fill-opacity": "0.5"} if sample.request in kept else {"fill": "none"}
            )
            add(group, "circle", cx=x(sample.entropy), cy=y(sample.f1), r=3.5, **fill)
        place = LEFT + 5 + number * 140
        add(svg, "circle", cx=place, cy=40, r=5, fill=colour)
        _text(svg, place + 10, 44, f"{difficulty} {len(kept)} of {len(samples)}")
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _axes(svg: ElementTree.Element, ticks: Sequence[tuple[float, str]]) -> None:
    _line(svg, LEFT, RIGHT, BOTTOM, BOTTOM)
    _line(svg, LEFT, LEFT, TOP, BOTTOM)
    for place, label in ticks:
        _text(svg, place, BOTTOM + 16, label, "middle")
    for k in range(5):
        _text(svg, LEFT - 6, BOTTOM - (BOTTOM - TOP) * k / 4 + 4, str(25 * k), "end")
    _text(svg, (LEFT + RIGHT) / 2, HEIGHT - 10, "entropy, nats", "middle")
    _text(svg, LEFT - 6, TOP - 8, "F1, %", "end")


def _line(
    svg: ElementTree.Element, x1: float, x2: float, y1: float, y2: float, *, dashed: bool = False
) -> None:
    style = {"stroke-dasharray": "4 4"} if dashed else {}
    add(svg, "line", x1=x1, x2=x2, y1=y1, y2=y2, stroke=GREY, **style)


def _text(svg: ElementTree.Element, x: float, y: float, text: str, anchor: str = "start") -> None:
    add(svg, "text", x=x, y=y, **{"text-anchor": anchor}).text = text
