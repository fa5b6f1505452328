"""Which requests are compared, what of them is counted, and when it is refused."""

import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import answered
import official
import pytest
from answered import GOLD, MISSED, dropped, perfect
from hypothesis import given, settings
from hypothesis import strategies as st

from f2rcli.results.bootstrap import METRICS, differences
from f2rcli.results.compare import Comparison, _by_dialogue, compare, corrected
from f2rcli.results.outcomes import Side, side_of_file
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.predictions import read_predictions
from f2rcli.tasks.scoring import PROTOCOLS, score

EMPTY, EXTRA = official.EMPTY, official.answer(range(10), [0])


@pytest.fixture
def side(tmp_path: Path) -> Any:
    """The side of a prediction file of these dialogues."""

    def read(name: str, dialogues: list[list[str]], **more: Any) -> Side:
        return side_of_file(answered.write(tmp_path / name, *dialogues, **more))

    return read


def quick(base: Side, new: Side, **options: Any) -> Comparison:
    return compare(base, new, resamples=199, **options)


def told(comparison: Comparison) -> tuple[Any, ...]:
    """Everything but the order of the flips."""
    flips = {how: sorted(p.new.request for p in pairs) for how, pairs in comparison.flips().items()}
    return comparison.differences, comparison.wins(), flips


def test_the_difference_by_hand(side: Any) -> None:
    found = quick(side("甲", perfect(20)), side("乙", dropped(20)), protocol="strict")
    assert (len(found.pairs), found.dialogues) == (40, 20)
    recall, f1 = found.differences["utterance.recall"], found.differences["joint.f1"]
    assert (recall.base, recall.new) == (1, pytest.approx(8 / 9))
    assert f1.value == pytest.approx(-1 / 34)  # (16/17 - 1) / 2
    assert f1.low < f1.value < f1.high < 0
    assert f1.p <= 0.05
    assert found.differences["image.f1"].value == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_both_values_are_those_of_f2r_score(side: Any, tmp_path: Path, protocol: Any) -> None:
    dialogues = [[MISSED, "无"], [EMPTY, EXTRA], ["答：" + GOLD, GOLD]]
    found = quick(side("甲", perfect(3)), side("乙", dialogues), protocol=protocol)
    scores = score(read_predictions(tmp_path / "乙"))[protocol].result()
    for name in METRICS:
        part, metric = name.split(".")
        assert found.differences[name].new == scores[part][metric]


def test_dialogues_are_the_clusters(side: Any) -> None:
    """The interval is that of the dialogues' summed counts, in the order of their digests."""
    base, new = side("甲", perfect(8)), side("乙", dropped(8))
    found = quick(base, new)
    by_dialogue: dict[str, list[list[int]]] = {}
    for pair in found.pairs:
        sums = by_dialogue.setdefault(pair.base.dialogue, [[0] * 8, [0] * 8])
        for row, sample in zip(sums, (pair.base, pair.new), strict=True):
            counts = sample.outcomes["published"].counts
            row[:] = [a + b for a, b in zip(row, counts, strict=True)]
    assert len(by_dialogue) == 8
    sides = [_by_dialogue(found.pairs, name, "published") for name in ("base", "new")]
    assert [array.tolist() for array in sides] == [
        [sums[number] for _, sums in sorted(by_dialogue.items())] for number in (0, 1)
    ]
    assert found.differences == differences(*sides, "published", resamples=199, seed=0)


@given(st.randoms(use_true_random=False))
@settings(max_examples=8)
def test_the_order_of_lines_makes_no_difference(rng: random.Random) -> None:
    lines = [answered.lines(*perfect(7)), answered.lines(*dropped(6), [EMPTY, EXTRA])]
    for side, response in zip(lines, (GOLD, EMPTY), strict=True):  # a request that is there twice
        side += answered.lines([response])
    before = quick(*_written(lines))
    for side in lines:
        rng.shuffle(side)
    assert told(quick(*_written(lines))) == told(before)


def _written(lines: list[list[dict[str, Any]]]) -> list[Side]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            side_of_file(official.write(Path(folder) / f"{number}.jsonl", *side))
            for number, side in enumerate(lines)
        ]


def test_a_file_does_not_differ_from_itself(side: Any) -> None:
    mixed = [[GOLD, MISSED], [EMPTY, "无"], *dropped(6)]
    found = quick(side("甲", mixed), side("甲", mixed))
    assert {(d.value, d.low, d.high, d.p) for d in found.differences.values()} == {(0, 0, 0, 1)}
    assert found.wins() == {"won": 0, "tied": 16, "lost": 0}
    assert found.flips() == {"gained": [], "lost": []}
    assert found.stated == (f"model and decoding of {found.base.source} are not known",)


def test_wins_and_flips_by_hand(side: Any) -> None:
    base = side("甲", [[GOLD, MISSED], [MISSED, EMPTY], ["无", GOLD]])
    new = side("乙 二", [[GOLD, GOLD], [EXTRA, GOLD], [GOLD, MISSED]])
    found = quick(base, new)
    # F1 of 9 utterances: 7 found 14/16, one too many 18/19
    assert found.wins() == {"won": 4, "tied": 1, "lost": 1}
    flips = found.flips()
    places = {how: [new.samples.index(pair.new) for pair in pairs] for how, pairs in flips.items()}
    assert places == {"gained": [1, 3, 4], "lost": [5]}
    shown = [found.show_command(pair) for pair in flips["gained"]]
    source = f"'{new.source}'"
    assert shown == [f"f2r show {source} {name}" for name in ("@1", "@3", "'对话2'")]
    strict = quick(base, new, protocol="strict")
    assert strict.show_command(strict.flips()["lost"][0]) == f"f2r show {source} @5 --protocol strict"


def test_copies_of_a_request_are_paired_by_how_well_they_went(side: Any, tmp_path: Path) -> None:
    made = answered.lines([GOLD], [EMPTY])
    copies = [[made[0], answered.lines([MISSED])[0]], [answered.lines([EXTRA])[0], made[0]]]
    sides = [
        side_of_file(official.write(tmp_path / f"{number}", *lines))
        for number, lines in enumerate(copies)
    ]
    assert quick(*sides).wins() == {"won": 1, "tied": 1, "lost": 0}
    with pytest.raises(InputError, match="1 only in"):
        quick(sides[0], side("一个", [[GOLD]]))


@pytest.mark.parametrize("swapped", [False, True])
def test_other_requests_are_refused_and_said(side: Any, swapped: bool) -> None:
    more, less = side("多", perfect(7)), side("少", perfect(6))
    with pytest.raises(InputError) as caught:
        quick(*((less, more) if swapped else (more, less)))
    assert str(caught.value) == (
        f"not the same requests: 2 only in {more.source} (such as 对话6), 12 in both; "
        "--force compares what both share"
    )


def test_another_gold_answer_is_said_to_be_one(side: Any) -> None:
    base = side("甲", perfect(6))
    new = side("乙", perfect(6), labels=official.answer([1], [0]))
    with pytest.raises(InputError, match=r"12 only in .* 12 only in .* 0 in both; of 12 only the gold"):
        quick(base, new)
    with pytest.raises(InputError, match="no request in common"):
        quick(base, new, force=True)


def test_what_both_share_is_compared_by_force_and_marked(side: Any) -> None:
    base, new = side("甲", perfect(8)), side("乙", dropped(6))
    forced = quick(base, new, force=True)
    assert len(forced.pairs) == 12
    [line] = forced.forced
    assert "4 only in" in line
    assert told(forced) == told(quick(side("丙", perfect(6)), new))
    assert quick(base, base, force=True).forced == ()


def test_protocols_that_differ_are_refused_unless_one_is_chosen(side: Any) -> None:
    base = side("甲", perfect(6))
    new = replace(side("乙", [["答：" + GOLD] * 2] * 6), protocol="strict")
    with pytest.raises(InputError, match=r"published protocol, .* by strict; choose .* --protocol"):
        quick(base, new)
    assert quick(base, new, protocol="published").differences["joint.f1"].new == 1
    assert quick(base, new, protocol="strict").differences["joint.f1"].new == 0
    forced = quick(base, new, force=True)
    assert (forced.protocol, len(forced.forced)) == ("published", 1)


def test_p_values_are_corrected_for_the_number_of_systems(side: Any) -> None:
    base = side("甲", perfect(20))
    found = [quick(base, side(name, made)) for name, made in (("乙", dropped(20)), ("丙", perfect(20)))]
    assert [one.differences["joint.f1"].p_holm for one in found] == [None, None]
    ps = [one.differences["joint.f1"].p for one in found]
    holm = [one.differences["joint.f1"].p_holm for one in corrected(found)]
    assert ps[0] < 0.05
    assert holm == [2 * ps[0], 1]
