"""The picture: every sample at its place, in the colour of its class, and the quartiles."""

from xml.etree import ElementTree

import pytest

from f2rcli.training.curriculum.difficulty import Curriculum, Sample
from f2rcli.training.curriculum.picture import BOTTOM, COLOURS, LEFT, RIGHT, TOP, scatter

SVG = "{http://www.w3.org/2000/svg}"
PAIRS = [(1.0, 1.0), (0.5, 2.0), (0.75, 2.5), (0.0, 4.0)]
CURRICULUM = Curriculum([Sample(f"第{n}个", *pair) for n, pair in enumerate(PAIRS)])


def drawn(curriculum: Curriculum) -> ElementTree.Element:
    return ElementTree.fromstring(scatter("训练集, <3 个", curriculum))


def test_every_sample_is_a_circle_of_its_class() -> None:
    svg = drawn(CURRICULUM)
    groups = {group.attrib["id"]: list(group) for group in svg.iter(f"{SVG}g")}
    assert {name: len(group) for name, group in groups.items()} == {
        name: len(samples) for name, samples in CURRICULUM.classes.items()
    }
    [easy], [hard] = groups["easy"], groups["hard"]
    width, height = RIGHT - LEFT, BOTTOM - TOP
    assert float(easy.attrib["cx"]) == pytest.approx(LEFT + width / 4, abs=0.06)
    assert float(easy.attrib["cy"]) == TOP
    assert (float(hard.attrib["cx"]), float(hard.attrib["cy"])) == (RIGHT, TOP + height)
    assert easy.attrib["fill"] == COLOURS["easy"]
    assert svg.attrib["aria-label"] == svg[0].text == "训练集, <3 个"


def test_what_is_not_kept_is_hollow() -> None:
    curriculum = Curriculum([Sample("空", 1.0, 1.0, empty=True), *CURRICULUM.samples[1:]])
    [easy] = next(group for group in drawn(curriculum).iter(f"{SVG}g") if group.attrib["id"] == "easy")
    assert easy.attrib["fill"] == "none"
    texts = [text.text for text in drawn(curriculum).iter(f"{SVG}text")]
    assert "easy 0 of 1" in texts
    assert "hard 1 of 1" in texts


def test_quartiles_are_dashed_lines() -> None:
    dashed = [line for line in drawn(CURRICULUM).iter(f"{SVG}line") if "stroke-dasharray" in line.attrib]
    across = [float(line.attrib["x1"]) for line in dashed if line.attrib["x1"] == line.attrib["x2"]]
    along = [float(line.attrib["y1"]) for line in dashed if line.attrib["y1"] == line.attrib["y2"]]
    width, height = RIGHT - LEFT, BOTTOM - TOP
    quartiles = CURRICULUM.quartiles
    assert across == pytest.approx([LEFT + width * h / 4 for h in quartiles.entropy], abs=0.06)
    assert along == pytest.approx([BOTTOM - height * f1 for f1 in quartiles.f1], abs=0.06)


def test_answers_of_one_token_can_be_drawn() -> None:
    """Their entropy is a hair below 0."""
    svg = drawn(Curriculum([Sample("甲", 1.0, -1e-12), Sample("乙", 0.0, -1e-12)]))
    assert {c.attrib["cx"] for g in svg.iter(f"{SVG}g") for c in g} == {f"{LEFT:.1f}"}
