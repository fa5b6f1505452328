"""Pictures of things: the same pixels everywhere, inside the frame, every thing unlike the others."""

import hashlib
from random import Random

import pytest
from PIL.ImageColor import getrgb

from f2rcli.tasks.mini import pictures
from f2rcli.tasks.mini.pictures import GRID, LIGHT, MID, SIDE, draw, drawings, things

SEEDS = 12
THINGS = things()


def pixels(thing: str, seed: int) -> bytes:
    return draw(thing, Random(seed)).tobytes()


@pytest.fixture
def shapes_of(monkeypatch: pytest.MonkeyPatch):
    """What one drawing puts into its picture: kind, corners, width."""

    def shapes(thing: str, seed: int) -> list[tuple[str, list[tuple[int, int]], int]]:
        put = []
        with monkeypatch.context() as patch:
            patch.setattr(
                pictures,
                "_put",
                lambda pen, kind, points, fill, width: put.append((kind, points, width)),
            )
            draw(thing, Random(seed))
        return put

    return shapes


def test_a_seed_gives_the_same_pixels_on_every_machine() -> None:
    """A changed drawing changes this digest, and with it every mini set."""
    digest = hashlib.sha256(b"".join(pixels(thing, seed) for thing in THINGS for seed in range(SEEDS)))
    assert digest.hexdigest()[:16] == "c279e9859b5f772c"


def test_thirty_two_things_of_two_variants_and_a_few_colours() -> None:
    assert len(THINGS) == len(set(THINGS)) == 32
    for thing, drawing in drawings().items():
        assert len(drawing.variants) == 2, thing
        assert len(set(drawing.variants)) == 2, thing
        assert 2 <= len(drawing.colours) <= 4, thing


def test_a_colour_alone_does_not_tell_the_thing() -> None:
    """Every thing shares a colour with others."""
    of: dict[str, set[str]] = {}
    for thing, drawing in drawings().items():
        for colour in drawing.colours:
            of.setdefault(colour, set()).add(thing)
    alone = {
        thing for thing in THINGS if all(len(of[colour]) == 1 for colour in drawings()[thing].colours)
    }
    assert alone == set()


@pytest.mark.parametrize("thing", THINGS)
def test_every_thing_draws(thing: str) -> None:
    picture = draw(thing, Random(0))
    assert (picture.mode, picture.size) == ("RGB", (SIDE, SIDE))
    assert len(picture.getcolors(SIDE * SIDE)) > 3


@pytest.mark.parametrize("thing", THINGS)
def test_seeds_differ(thing: str) -> None:
    assert len({pixels(thing, seed) for seed in range(SEEDS)}) == SEEDS


def test_two_things_never_give_one_picture() -> None:
    drawn = {pixels(thing, seed) for thing in THINGS for seed in range(SEEDS)}
    assert len(drawn) == len(THINGS) * SEEDS


@pytest.mark.parametrize("thing", THINGS)
def test_nothing_leaves_the_frame(thing: str, shapes_of) -> None:
    """Whatever the variant, the scale, the place and the mirroring."""
    for seed in range(60):
        for kind, points, width in shapes_of(thing, seed):
            before, after = ((width - 1) // 2, width // 2) if kind == "line" else (0, 0)
            assert before <= min(map(min, points)), (seed, kind, points)
            assert max(map(max, points)) < SIDE - after, (seed, kind, points)


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_fills_most_of_the_frame(thing: str, shapes_of) -> None:
    for seed in range(20):
        places = [point for _, points, _ in shapes_of(thing, seed) for point in points]
        extents = [max(along) - min(along) for along in zip(*places, strict=True)]
        assert max(extents) >= SIDE * 2 // 3, seed


def test_a_mirrored_thing_looks_the_other_way(shapes_of) -> None:
    """The nose of the standing dog is at either side of its collar."""
    right = set()
    for seed in range(40):
        shapes = shapes_of("dog", seed)
        if shapes[0][0] == "line":  # standing: the tail comes first
            nose, collar = shapes[-2][1], shapes[-1][1]
            right.add(nose[0][0] > collar[0][0])
    assert right == {False, True}


@pytest.mark.parametrize("thing", THINGS)
def test_every_colour_has_a_background_that_it_stands_out_from(thing: str) -> None:
    for colour in drawings()[thing].colours:
        grounds = [zip(getrgb(ground), getrgb(colour), strict=True) for ground in LIGHT + MID]
        farthest = max(sum(abs(a - b) for a, b in parts) for parts in grounds)
        assert farthest - 3 * 12 >= pictures.CONTRAST, colour  # jitter moves each channel by up to 12


def test_drawings_stay_on_their_grid() -> None:
    kinds = {"ellipse", "ring", "rectangle", "line", "polygon"}
    for thing, drawing in drawings().items():
        for shape in (shape for variant in drawing.variants for shape in variant):
            assert shape.kind in kinds, thing
            assert len(shape.points) % 2 == 0, (thing, shape)
            assert len(shape.points) == 4 or shape.kind in ("line", "polygon"), (thing, shape)
            assert 0 <= min(shape.points) <= max(shape.points) <= GRID, (thing, shape)


def test_an_unknown_thing_is_refused() -> None:
    with pytest.raises(KeyError, match="unicorn"):
        draw("unicorn", Random(0))
