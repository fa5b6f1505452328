"""Entropy, classes and the order of training: by hand, and as properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.training.curriculum.difficulty import (
    DIFFICULTIES,
    Curriculum,
    Quartiles,
    Sample,
    entropy,
)

LN2 = math.log(2)


def samples(*pairs: tuple[float, float], empty: tuple[int, ...] = ()) -> list[Sample]:
    """Samples named 0, 1, … of an F1 and an entropy each."""
    return [Sample(str(n), f1, h, n in empty) for n, (f1, h) in enumerate(pairs)]


def names(curriculum: Curriculum) -> dict[str, list[str]]:
    return {name: [s.request for s in kept] for name, kept in curriculum.kept.items()}


@pytest.mark.parametrize(
    ("logprobs", "wanted"),
    [
        ([], 10.0),
        ([-3.0], 0.0),  # one token is all of the sum, however unlikely
        ([-1.0, -1.0], LN2),
        ([-5.0] * 8, 3 * LN2),  # as long as they are alike, only the length counts
        ([math.log(0.5), math.log(0.25), math.log(0.25)], 1.5 * LN2),
        ([math.log(0.9), math.log(0.1)], -0.9 * math.log(0.9) - 0.1 * math.log(0.1)),
        ([0.0, -800.0], 0.0),  # 0 · ln(0 + 1e-12) is 0
        ([-1000.0, -1000.0], LN2),  # exp(-1000) alone would be 0
    ],
)
def test_entropy_by_hand(logprobs: list[float], wanted: float) -> None:
    assert entropy(logprobs) == pytest.approx(wanted, abs=1e-11)


def test_the_epsilon_is_inside_the_logarithm() -> None:
    assert entropy([-2.0]) == -math.log(1 + 1e-12) < 0


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=60), st.floats(-20, 0))
def test_entropy_is_between_none_and_that_of_equals_and_knows_no_scale(
    logprobs: list[float], shift: float
) -> None:
    found = entropy(logprobs)
    assert -1e-9 <= found <= math.log(len(logprobs)) + 1e-9
    assert entropy([value + shift for value in logprobs]) == pytest.approx(found, abs=1e-9)
    assert entropy(logprobs[::-1]) == pytest.approx(found, abs=1e-9)


def test_quartiles_are_interpolated() -> None:
    found = Quartiles.of(samples((0.0, 4.0), (0.2, 3.0), (0.4, 2.0), (1.0, 1.0)))
    assert found.f1 == pytest.approx((0.15, 0.3, 0.55))
    assert found.entropy == pytest.approx((1.75, 2.5, 3.25))


QUARTILES = Quartiles((0.2, 0.5, 0.8), (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("f1", "h", "wanted"),
    [
        (0.8, 1.0, "easy"),  # equal to both limits
        (0.8, 1.1, "middle"),
        (0.79, 1.0, "middle"),
        (0.5, 2.0, "middle"),
        (0.5, 2.1, "confusing"),
        (0.49, 0.5, "confusing"),
        (0.2, 3.0, "confusing"),
        (0.2, 3.1, "hard"),
        (0.19, 0.1, "hard"),
        (1.0, 3.1, "hard"),  # right, and not sure of it
    ],
)
def test_a_class_is_the_first_that_fits(f1: float, h: float, wanted: str) -> None:
    assert QUARTILES.difficulty(Sample("样本", f1, h)) == wanted


def test_where_all_are_alike_all_are_easy() -> None:
    curriculum = Curriculum(samples(*[(0.5, 10.0)] * 4))
    assert names(curriculum) == {"easy": ["0", "1", "2", "3"], "middle": [], "confusing": [], "hard": []}


def test_one_sample_is_easy_or_dropped() -> None:
    assert names(Curriculum(samples((0.0, 3.0))))["easy"] == ["0"]
    assert not any(Curriculum(samples((1.0, 3.0), empty=(0,))).kept.values())


# Quartiles of F1: 0.25, 0.5, 0.75 and of entropy: 3, 5, 7 (nine samples each).
NINE = (
    (0.75, 3.0),
    (0.5, 5.0),
    (1.0, 4.0),
    (0.25, 7.0),
    (0.4, 6.0),
    (0.0, 1.0),
    (1.0, 8.0),
    (0.1, 9.0),
    (0.6, 2.0),
)


def test_ties_with_quartiles_and_the_order_of_what_is_kept() -> None:
    curriculum = Curriculum(samples(*NINE))
    assert curriculum.quartiles == Quartiles((0.25, 0.5, 0.75), (3.0, 5.0, 7.0))
    found = {name: [s.request for s in part] for name, part in curriculum.classes.items()}
    assert found == {
        "easy": ["0"],
        "middle": ["1", "2", "8"],
        "confusing": ["3", "4"],
        "hard": ["5", "6", "7"],
    }
    assert names(curriculum) == {
        "easy": ["0"],
        "middle": ["2"],  # a tenth of three is none, so one: the best
        "confusing": ["4"],
        "hard": ["5", "6", "7"],
    }
    assert list(curriculum.kept) == list(DIFFICULTIES)


def test_easy_and_middle_samples_that_match_nothing_are_dropped_before_the_best_are_taken() -> None:
    everything = tuple(range(len(NINE)))
    assert names(Curriculum(samples(*NINE, empty=everything))) == {
        "easy": [],
        "middle": [],
        "confusing": ["4"],
        "hard": ["5", "6", "7"],
    }
    curriculum = Curriculum(samples(*NINE, empty=(2,)))
    assert names(curriculum)["middle"] == ["8"]  # the best of the two that are left
    assert curriculum.quartiles == Quartiles((0.25, 0.5, 0.75), (3.0, 5.0, 7.0))  # of all nine
    assert [s.request for s in curriculum.classes["middle"]] == ["1", "2", "8"]


def test_equal_ones_stay_in_the_order_of_the_data() -> None:
    """Twenty in the middle: two are kept; five confusing ones: two are kept."""
    middle = [(0.8, 2.0)] * 20
    confusing = [(0.5, 3.0), (0.6, 3.0), (0.5, 3.0), (0.6, 3.0), (0.6, 3.0)]
    rest = [(1.0, 1.0)] * 13 + [(0.1, 9.0)] * 12
    curriculum = Curriculum(samples(*confusing, *middle, *rest))
    assert len(curriculum.classes["middle"]) == 20
    assert len(curriculum.classes["confusing"]) == 5
    assert names(curriculum)["middle"] == ["5", "6"]
    assert names(curriculum)["confusing"] == ["1", "3"]


FRACTIONS = st.integers(0, 4).map(lambda n: n / 4)
ANY = st.builds(Sample, st.uuids().map(str), FRACTIONS, st.integers(0, 6).map(float), st.booleans())


@given(st.lists(ANY, min_size=1, max_size=60))
def test_every_sample_has_one_class_and_of_each_class_the_best_are_kept(many: list[Sample]) -> None:
    curriculum = Curriculum(many)
    assert sorted(s.request for part in curriculum.classes.values() for s in part) == sorted(
        s.request for s in many
    )
    order = {sample.request: place for place, sample in enumerate(many)}
    for name, kept in curriculum.kept.items():
        left = [s for s in curriculum.classes[name] if name in ("confusing", "hard") or not s.empty]
        share = {"middle": 10, "confusing": 2}.get(name, 1)
        assert len(kept) == (max(1, len(left) // share) if left else 0)
        if share == 1:
            assert kept == left
        else:
            assert kept == sorted(left, key=lambda s: (-s.f1, order[s.request]))[: len(kept)]
