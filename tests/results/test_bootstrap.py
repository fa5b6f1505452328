"""The bootstrap against enumeration, and its metrics against those of `f2r score`."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official import answer, line

from f2rcli.results import bootstrap
from f2rcli.results.bootstrap import (
    METRICS,
    Ints,
    difference_of,
    differences,
    holm,
    metrics_of,
    resampled_sums,
    widening,
)
from f2rcli.results.outcomes import Outcome
from f2rcli.tasks.metrics import Counts
from f2rcli.tasks.predictions import parse_prediction
from f2rcli.tasks.scoring import JUDGES, MODALITIES, PROTOCOLS, Protocol, Tally

IDS = st.lists(st.integers(0, 5), max_size=4, unique=True)
ANSWERS = st.builds(answer, IDS, IDS) | st.just("无")
ROWS = st.lists(st.lists(st.integers(0, 9), min_size=8, max_size=8), min_size=6, max_size=9)
TURNS = (("user1: 你好", "user2: 看 🖼", "user1: 可爱🐱"), ("user1: 你好", "user2: 嗯"))


def by_tally(sums: list[int], protocol: Protocol) -> list[float]:
    """The metrics of these sums as `f2r score` has them."""
    micro = dict(zip(MODALITIES, (Counts(*sums[:4]), Counts(*sums[4:])), strict=True))
    scores = Tally(protocol, micro=micro).scores("micro")
    return [scores[part][metric] for part, metric in (name.split(".") for name in METRICS)]


def arrays(rows: list[list[int]], seed: int = 0) -> tuple[Ints, Ints]:
    """These counts, and the same with some true positives turned into false negatives."""
    base = np.array(rows)
    new = base.copy()
    moved = np.random.default_rng(seed).integers(0, base[:, [0, 4]] + 1)
    new[:, [0, 4]] -= moved
    new[:, [2, 6]] += moved
    return base, new


@given(
    st.lists(st.tuples(ANSWERS, ANSWERS, st.integers(0, 3), st.booleans()), min_size=1, max_size=5),
    st.sampled_from(PROTOCOLS),
)
@settings(max_examples=50)
def test_a_resample_scores_to_the_last_digit_as_if_its_lines_were_scored(
    drawn: list[tuple[str, str, int, bool]], protocol: Protocol
) -> None:
    tally, sums = Tally(protocol), np.zeros(8, dtype=np.int64)
    for response, labels, weight, pictures in drawn:
        gold = answer([1, 2], [0]) if labels == "无" else labels
        made = parse_prediction(line(*TURNS[not pictures], response=response, labels=gold), "")
        for _ in range(weight):
            tally.add(JUDGES[protocol](made))
        sums += weight * np.array(Outcome.of(made, protocol).counts)
    scores = tally.scores("micro")
    expected = [scores[part][metric] for part, metric in (name.split(".") for name in METRICS)]
    assert metrics_of(sums[None], protocol)[0].tolist() == expected


@given(st.lists(st.integers(0, 10**6), min_size=8, max_size=8), st.sampled_from(PROTOCOLS))
def test_large_counts_are_exact_too(sums: list[int], protocol: Protocol) -> None:
    """The product under the root of MCC has up to 80 bits."""
    assert metrics_of(np.array([sums]), protocol)[0].tolist() == by_tally(sums, protocol)


def test_dialogues_are_drawn_as_often_as_enumeration_says() -> None:
    counts = np.array([[1] + [0] * 7, [10] + [0] * 7, [100] + [0] * 7])
    number = 20_000
    found = Counter(resampled_sums(counts, number, seed=1)[:, 0].tolist())
    expected = Counter(sum(drawn) for drawn in itertools.product((1, 10, 100), repeat=3))
    assert found.keys() == expected.keys()
    for total, ways in expected.items():
        share = ways / 27
        assert abs(found[total] / number - share) < 4 * math.sqrt(share * (1 - share) / number)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_interval_p_and_detectable_are_those_of_every_possible_resample(protocol: Protocol) -> None:
    """Six dialogues have 462 different resamples, each with its probability."""
    hits = [5, 3, 6, 2, 4, 7]
    base = np.array([[h, 2, 8 - h, 30, 1, 1, h % 3, 4] for h in hits])
    new = np.array(
        [[h - 1 + i % 3, 2, 9 - h - i % 3, 30, 1, i % 2, h % 3, 4] for i, h in enumerate(hits)]
    )
    column = METRICS.index("joint.f1")
    values, weights = [], []
    for drawn in itertools.combinations_with_replacement(range(6), 6):
        sides = [
            by_tally(side[list(drawn)].sum(axis=0).tolist(), protocol)[column] for side in (base, new)
        ]
        values.append(sides[1] - sides[0])
        weights.append(720 / math.prod(math.factorial(drawn.count(i)) for i in range(6)) / 6**6)
    observed = values[list(itertools.combinations_with_replacement(range(6), 6)).index(tuple(range(6)))]
    wide = observed + widening(6) * (np.array(values) - observed)
    order = np.argsort(wide)
    wide, share = wide[order], np.array(weights)[order]
    below = np.cumsum(share)

    found = differences(base, new, protocol, resamples=9_999)["joint.f1"]
    assert found.value == observed
    assert wide[np.searchsorted(below, 0.02)] <= found.low <= wide[np.searchsorted(below, 0.03)]
    assert wide[np.searchsorted(below, 0.97)] <= found.high <= wide[np.searchsorted(below, 0.98)]
    mean = share @ wide
    error = math.sqrt(share @ (wide - mean) ** 2)
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * error, rel=0.03)
    assert found.p == pytest.approx(2 * min(share @ (wide <= 0), share @ (wide >= 0)), abs=0.03)


def test_the_interval_is_read_off_the_sorted_draws() -> None:
    """199 draws: 2.5 % of 200 is the fifth from each end."""
    drawn = np.random.default_rng(0).permutation(np.arange(1, 200)) / 1000
    found = difference_of(0.2, 0.3, drawn, dialogues=10**9)
    assert (found.low, found.high) == pytest.approx((0.005, 0.195))
    assert found.p == pytest.approx(2 / 200)  # no draw at or below 0, one more for the observed
    assert found.detectable == pytest.approx(2.801585 * np.std(drawn, ddof=1))
    assert difference_of(0.2, 0.3, drawn - 0.003, 10**9).p == pytest.approx(2 * 4 / 200)


@pytest.mark.parametrize(("dialogues", "t"), [(6, 2.570582), (31, 2.042272), (100, 1.984217)])
def test_the_widening_is_of_students_t(dialogues: int, t: float) -> None:
    expected = math.sqrt(dialogues / (dialogues - 1)) * t / 1.959964
    assert widening(dialogues) == pytest.approx(expected, rel=2e-3)


def test_draws_are_widened_about_the_observed_difference() -> None:
    drawn = np.linspace(-1, 1, 199) / 10
    narrow, wide = (difference_of(0.5, 0.5, drawn, dialogues) for dialogues in (10**9, 6))
    assert wide.high / narrow.high == pytest.approx(widening(6), rel=1e-6)
    assert wide.detectable / narrow.detectable == pytest.approx(widening(6), rel=1e-6)


@given(ROWS, st.integers(0, 99), st.sampled_from(PROTOCOLS))
@settings(max_examples=30)
def test_swapping_the_sides_negates_everything(
    rows: list[list[int]], seed: int, protocol: Protocol
) -> None:
    base, new = arrays(rows, seed)
    there = differences(base, new, protocol, resamples=199, seed=seed)
    back = differences(new, base, protocol, resamples=199, seed=seed)
    for name in METRICS:
        a, b = there[name], back[name]
        assert (a.value, a.low, a.high) == (-b.value, -b.high, -b.low)
        assert (a.p, a.base, a.new) == (b.p, b.new, b.base)
        assert a.detectable == pytest.approx(b.detectable, rel=1e-9, abs=1e-15)
        assert (a.p <= 0.05) == (not a.low <= 0 <= a.high)


@given(ROWS, st.sampled_from(PROTOCOLS))
@settings(max_examples=10)
def test_a_side_does_not_differ_from_itself(rows: list[list[int]], protocol: Protocol) -> None:
    counts = np.array(rows)
    for found in differences(counts, counts, protocol, resamples=199).values():
        assert (found.value, found.low, found.high, found.p, found.detectable) == (0, 0, 0, 1, 0)


@pytest.mark.parametrize("dialogues", [1, 2, 5])
def test_too_few_dialogues_leave_everything_possible(dialogues: int) -> None:
    base = np.array([[5, 1, 1, 9, 1, 0, 0, 1]] * dialogues)
    new = base - np.array([1, 0, -1, 0, 0, 0, 0, 0])
    found = differences(base, new, "strict", resamples=199)
    joint, mcc = found["joint.f1"], found["joint.mcc"]
    assert joint.value < 0
    assert (joint.low, joint.high, joint.p, joint.detectable) == (-1, 1, 1, 1)
    assert (mcc.low, mcc.high) == (-2, 2)
    same = differences(base, base, "strict", resamples=199)["joint.f1"]
    assert (same.low, same.high, same.p) == (0, 0, 1)


def test_the_seed_decides_and_the_size_of_a_block_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.random.default_rng(0).integers(0, 9, (7, 8))
    drawn = resampled_sums(counts, 500, seed=3)
    assert (drawn == resampled_sums(counts, 500, seed=3)).all()
    assert (drawn != resampled_sums(counts, 500, seed=4)).any()
    monkeypatch.setattr(bootstrap, "_CELLS", 100)
    assert (drawn == resampled_sums(counts, 500, seed=3)).all()


@pytest.mark.parametrize(
    ("ps", "corrected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 · 0.01, 2 · 0.03, 1 · 0.04 < 0.06
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, 0.001, 0.02, 0.3], [0.06, 0.004, 0.06, 0.3]),
    ],
)
def test_holm_by_hand(ps: list[float], corrected: list[float]) -> None:
    assert holm(ps) == pytest.approx(corrected)
