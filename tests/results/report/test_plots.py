"""Plots: where marks stand, and that every number is printed."""

from xml.etree import ElementTree

import pytest

from f2rcli.results.report.plots import LEFT, RIGHT, Mark, bars, intervals

MIDDLE = (LEFT + RIGHT) / 2


def test_a_bar_is_as_long_as_its_value() -> None:
    svg = ElementTree.fromstring(
        bars("标题", [("组", [Mark("甲", 0.25, "25.00"), Mark("乙", 0.5, "50.00")])], 1)
    )
    widths = [float(rect.attrib["width"]) for rect in svg.iter("rect")]
    assert widths == pytest.approx([(RIGHT - LEFT) / 4, (RIGHT - LEFT) / 2], abs=0.1)
    assert [text.text for text in svg.iter("text")] == ["组", "甲", "25.00", "乙", "50.00"]
    assert svg.attrib["role"] == "img"
    assert svg[0].text == svg.attrib["aria-label"] == "标题"


def test_an_interval_stands_about_zero() -> None:
    svg = ElementTree.fromstring(intervals("差", [("组", [Mark("甲", -0.1, "-10.00", -0.2, 0.05)])]))
    whole = next(line for line in svg.iter("line") if line.attrib["y1"] == line.attrib["y2"])
    [point] = svg.iter("circle")
    half = MIDDLE - LEFT  # the furthest end, -0.2, is at the edge
    found = [float(whole.attrib["x1"]), float(point.attrib["cx"]), float(whole.attrib["x2"])]
    assert found == pytest.approx([LEFT, MIDDLE - half / 2, MIDDLE + half / 4], abs=0.1)


def test_a_label_is_text_and_short_enough() -> None:
    name = "<script>" + "很长的名字" * 5
    svg = bars("题", [("组", [Mark(name, 1, "100.00")])], 1)
    assert "<script" not in svg
    label = [text.text for text in ElementTree.fromstring(svg).iter("text")][1]
    assert label == "<script>很长的名…"


def test_nothing_to_draw_is_no_division_by_zero() -> None:
    assert "0.00" in intervals("差", [("组", [Mark("甲", 0.0, "+0.00", 0.0, 0.0)])])
