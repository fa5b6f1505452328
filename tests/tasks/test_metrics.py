"""Metrics against values worked out by hand, and against numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.tasks.metrics import (
    Counts,
    Metrics,
    count,
    mean_rule,
    published_joint_rule,
    sample_metrics,
)

IDS = st.frozensets(st.integers(0, 12))
EMPTY: frozenset[int] = frozenset()


def ids(*values: int) -> frozenset[int]:
    return frozenset(values)


def universe(size: int) -> frozenset[int]:
    return frozenset(range(size))


def test_counts_by_hand() -> None:
    # predicted 1 2 9, gold 2 3, ids 0..4: 2 is right; 1 and 9 are wrong; 3 is missed; 0 and 4 remain
    assert count(ids(1, 2, 9), ids(2, 3), universe(5)) == Counts(tp=1, fp=2, fn=1, tn=2)


def test_metrics_by_hand() -> None:
    found = Counts(tp=3, fp=1, fn=2, tn=4).metrics()
    assert found.precision == 3 / (3 + 1)
    assert found.recall == 3 / (3 + 2)
    assert found.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6), abs=1e-15)
    assert found.mcc == pytest.approx((3 * 4 - 1 * 2) / math.sqrt(4 * 5 * 5 * 6), abs=1e-15)


@pytest.mark.parametrize(
    ("counts", "values"),
    [
        (Counts(), (0, 0, 0, 0)),
        (Counts(tn=5), (0, 0, 0, 0)),
        (Counts(fp=2, tn=5), (0, 0, 0, 0)),
        (Counts(fn=2, tn=5), (0, 0, 0, 0)),
        (Counts(tp=2), (1, 1, 1, 0)),  # no negatives at all: TN + FP = 0
        (Counts(tp=2, tn=5), (1, 1, 1, 1)),
        (Counts(fp=5, fn=2), (0, 0, 0, -1)),  # (0 - 10) / sqrt(5 * 2 * 5 * 2)
    ],
)
def test_corners(counts: Counts, values: tuple[float, ...]) -> None:
    assert counts.metrics() == Metrics(*values)


def test_large_counts_do_not_overflow() -> None:
    assert Counts(10**9, 10**9, 10**9, 10**9).mcc() == 0
    assert Counts(tp=10**12, tn=10**12).mcc() == 1


def test_counts_add_up() -> None:
    total = Counts(1, 2, 3, 4)
    total.add(Counts(10, 20, 30, 40))
    assert total == Counts(11, 22, 33, 44)


@given(IDS, IDS, IDS)
def test_every_id_is_counted_once(
    predicted: frozenset[int], gold: frozenset[int], all_: frozenset[int]
) -> None:
    found = count(predicted, gold, all_)
    assert found.tp + found.fp == len(predicted)
    assert found.tp + found.fn == len(gold)
    assert found.tp + found.fp + found.fn + found.tn == len(predicted | gold | all_)


@given(IDS, IDS)
def test_counts_never_exceed_the_universe(predicted: frozenset[int], gold: frozenset[int]) -> None:
    found = count(predicted, gold, universe(13))
    assert found.tp + found.fp + found.fn + found.tn == 13


@given(IDS, IDS)
def test_prediction_and_gold_are_symmetric(one: frozenset[int], other: frozenset[int]) -> None:
    there, back = (count(*pair, universe(13)).metrics() for pair in ((one, other), (other, one)))
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert (there.f1, there.mcc) == pytest.approx((back.f1, back.mcc))


@given(IDS, IDS)
def test_mcc_is_the_correlation_of_two_rows_of_zeros_and_ones(
    predicted: frozenset[int], gold: frozenset[int]
) -> None:
    rows = [[float(i in side) for i in range(13)] for side in (predicted, gold)]
    constant = any(len(set(row)) == 1 for row in rows)
    expected = 0.0 if constant else np.corrcoef(rows)[0, 1]
    assert count(predicted, gold, universe(13)).mcc() == pytest.approx(expected, abs=1e-12)


@given(IDS, IDS, IDS)
def test_values_stay_within_their_range(
    predicted: frozenset[int], gold: frozenset[int], all_: frozenset[int]
) -> None:
    for found in (sample_metrics(predicted, gold, all_), count(predicted, gold, all_).metrics()):
        assert all(0 <= value <= 1 for value in (found.precision, found.recall, found.f1))
        assert -1 - 1e-12 <= found.mcc <= 1 + 1e-12


def test_a_sample_by_hand() -> None:
    # predicted 1 2 9, gold 2 3, ids 0..4: P = 1/3, R = 1/2; for the MCC 9 is not there:
    # TP 1, FP 1, FN 1, TN 2 → (2 - 1) / sqrt(2 * 2 * 3 * 3)
    found = sample_metrics(ids(1, 2, 9), ids(2, 3), universe(5))
    assert (found.precision, found.recall) == (1 / 3, 1 / 2)
    assert found.f1 == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2), abs=1e-15)
    assert found.mcc == pytest.approx(1 / 6, abs=1e-15)


@pytest.mark.parametrize(("predicted", "value"), [(EMPTY, 1.0), (ids(2), 0.0), (ids(99), 0.0)])
def test_an_empty_gold_list_is_all_or_nothing(predicted: frozenset[int], value: float) -> None:
    assert sample_metrics(predicted, EMPTY, universe(5)) == Metrics(value, value, value, 0.0)


def test_a_missed_gold_list_scores_nothing() -> None:
    assert sample_metrics(EMPTY, ids(2), universe(5)) == Metrics(0, 0, 0, 0)


@given(IDS.filter(bool))
def test_the_gold_itself_is_perfect(gold: frozenset[int]) -> None:
    found = sample_metrics(gold, gold, universe(14))  # 13 is never gold, so there is a negative
    assert (found.precision, found.recall, found.f1, found.mcc) == (1, 1, 1, pytest.approx(1))


def test_joint_rules_by_hand() -> None:
    utterance, image = Metrics(0.5, 0.25, 0.3, 0.2), Metrics(1.0, 0.75, 0.9, -0.4)
    published = Metrics.combine(published_joint_rule, utterance, image)
    assert published.precision == pytest.approx(2 * 0.5 * 1.0 / 1.5, abs=1e-15)
    assert published.recall == pytest.approx(2 * 0.25 * 0.75 / 1.0, abs=1e-15)
    assert published.f1 == pytest.approx((0.3 + 0.9) / 2, abs=1e-15)
    assert published.mcc == pytest.approx((0.2 - 0.4) / 2, abs=1e-15)
    strict = Metrics.combine(mean_rule, utterance, image)
    assert strict.as_dict() == pytest.approx({"precision": 0.75, "recall": 0.5, "f1": 0.6, "mcc": -0.1})


def test_a_harmonic_mean_of_nothing_is_nothing() -> None:
    nothing = Metrics(0, 0, 0, 0)
    assert Metrics.combine(published_joint_rule, nothing, nothing) == nothing
