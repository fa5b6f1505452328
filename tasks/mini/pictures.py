"""Pictures of the mini sets: simple things put together from shapes, the same on every machine."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from operator import itemgetter
from random import Random

import PIL.Image
from PIL.ImageColor import getrgb
from PIL.ImageDraw import Draw, ImageDraw

SIDE = 56  # pixels: two by two merged patches of 14 in each direction
GRID = 100  # what the drawings are written on
LIGHT = ("#f4f0e6", "#d8e6f0", "#e8dcc8", "#c8dcc8", "#dcd0e6", "#f4d8d4")
MID = ("#98a4b0", "#b4a488", "#90a884", "#88a4c4", "#bc9890", "#a090b4")
CONTRAST = 120  # least difference of a background from the main colour, summed over the channels

Colour = tuple[int, ...]  # red, green, blue
Points = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Shape:
    """A line of drawings.toml. `points` is x, y, x, y, …; `width` is 0 for what is filled."""

    kind: str
    width: int
    colour: str
    points: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A thing: its natural colours and its variants, each drawn in order."""

    colours: tuple[str, ...]
    variants: tuple[tuple[Shape, ...], ...]


def things() -> tuple[str, ...]:
    """What can be drawn, in the order of drawings.toml."""
    return tuple(drawings())


def draw(thing: str, rng: Random) -> PIL.Image.Image:
    """An RGB picture of SIDE x SIDE pixels, all decided by `rng`. Raises KeyError if unknown."""
    drawing = drawings()[thing]
    variant = rng.choice(drawing.variants)
    main = _jitter(rng.choice(drawing.colours), rng)
    dark, light = _mixed(main, (0, 0, 0), 45), _mixed(main, (255, 255, 255), 50)
    derived = {"main": main, "dark": dark, "light": light}
    picture = PIL.Image.new("RGB", (SIDE, SIDE))
    pen = Draw(picture)
    _ground(pen, main, rng)
    size = rng.randint(SIDE * 3 // 4, SIDE) - 1
    left, top = rng.randrange(SIDE - size), rng.randrange(SIDE - size)
    mirrored = rng.random() < 0.5
    for shape in variant:
        xs = [left + (GRID - x if mirrored else x) * size // GRID for x in shape.points[::2]]
        ys = [top + y * size // GRID for y in shape.points[1::2]]
        fill = derived.get(shape.colour) or getrgb(shape.colour)
        _put(pen, shape.kind, list(zip(xs, ys, strict=True)), fill, max(1, shape.width * size // GRID))
    return picture


@cache
def drawings() -> dict[str, Drawing]:
    """drawings.toml, read once."""
    text = resources.files("f2rcli.tasks.mini").joinpath("drawings.toml").read_text(encoding="utf-8")
    read = {}
    for thing, table in tomllib.loads(text).items():
        colours = tuple(table.pop("colours"))
        variants = (tuple(map(_shape, lines.strip().splitlines())) for lines in table.values())
        read[thing] = Drawing(colours, tuple(variants))
    return read


def _shape(line: str) -> Shape:
    kind, *rest = line.split()
    width = int(rest.pop(0)) if kind in ("line", "ring") else 0
    return Shape(kind, width, rest[0], tuple(map(int, rest[1:])))


def _put(pen: ImageDraw, kind: str, points: Points, fill: Colour, width: int) -> None:
    """Draws one shape of whole pixels. `points` are its corners, or two opposite ones of its box."""
    if kind == "polygon":
        _polygon(pen, points, fill)
    elif kind == "line":
        pen.line(points, fill, width)
        before, after = (width - 1) // 2, width // 2
        for x, y in points if width > 2 else []:  # wide lines have gaps at their corners
            pen.ellipse((x - before, y - before, x + after, y + after), fill)
    else:
        (x0, x1), (y0, y1) = (sorted(along) for along in zip(*points, strict=True))
        if kind == "ring":
            pen.ellipse((x0, y0, x1, y1), outline=fill, width=width)
        else:
            (pen.ellipse if kind == "ellipse" else pen.rectangle)((x0, y0, x1, y1), fill)


def _polygon(pen: ImageDraw, corners: Points, fill: Colour) -> None:
    """Fills row by row, in whole numbers: the pixels of Pillow's own polygon differ by its version."""
    sides = zip(corners, corners[1:] + corners[:1], strict=True)
    downward = [sorted(ends, key=itemgetter(1)) for ends in sides]
    for row in range(min(y for _, y in corners), max(y for _, y in corners)):
        here = [(start, end) for start, end in downward if start[1] <= row < end[1]]
        crossed = sorted(x0 + (row - y0) * (x1 - x0) // (y1 - y0) for (x0, y0), (x1, y1) in here)
        for left, right in zip(crossed[::2], crossed[1::2], strict=True):
            pen.line((left, row, right, row), fill)
    pen.line([*corners, corners[0]], fill)


def _ground(pen: ImageDraw, main: Colour, rng: Random) -> None:
    """Plain or wall and floor, apart from the main colour, with 0 to 2 marks along the border."""
    apart = {ground: zip(getrgb(ground), main, strict=True) for ground in LIGHT + MID}
    fits = [ground for ground, parts in apart.items() if sum(abs(a - b) for a, b in parts) >= CONTRAST]
    wall = _jitter(rng.choice(fits), rng)
    pen.rectangle((0, 0, SIDE, SIDE), wall)
    if rng.random() < 0.4:
        pen.rectangle((0, rng.randint(SIDE // 2, SIDE - 8), SIDE, SIDE), _jitter(rng.choice(fits), rng))
    for _ in range(rng.randrange(3)):
        along, across = rng.randrange(SIDE), rng.choice((1, 2, SIDE - 4, SIDE - 3))
        x, y = rng.choice(((along, across), (across, along)))
        fill = _mixed(wall, (rng.randrange(256), rng.randrange(256), rng.randrange(256)), 60)
        if rng.random() < 0.5:
            pen.ellipse((x, y, x + 2, y + 2), fill)
        else:
            pen.line((x, y, x + rng.randint(-4, 4), y + rng.randint(-4, 4)), fill)


def _jitter(colour: str, rng: Random) -> Colour:
    return tuple(min(255, max(0, part + rng.randint(-12, 12))) for part in getrgb(colour))


def _mixed(colour: Colour, other: Colour, percent: int) -> Colour:
    """`colour` with that much of `other` in it."""
    return tuple((a * (100 - percent) + b * percent) // 100 for a, b in zip(colour, other, strict=True))
