"""The objective by hand, and what must hold of it whatever the numbers are."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from f2rcli.training.grpo.objective import Loss, advantages, loss

PUBLISHED = {"epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.02}
numbers = st.floats(-3, 0)
groups = st.lists(st.lists(numbers, min_size=1, max_size=5), min_size=2, max_size=4)


def of(
    new: list[list[float]],
    old: list[list[float]],
    reference: list[list[float]],
    advantage: list[float],
    **changes: float,
) -> tuple[Loss, list[Tensor]]:
    rows = [torch.tensor(row, dtype=torch.float64, requires_grad=True) for row in new]
    others = [[torch.tensor(row, dtype=torch.float64) for row in side] for side in (old, reference)]
    settings: dict[str, Any] = PUBLISHED | changes
    return loss(rows, *others, torch.tensor(advantage, dtype=torch.float64), **settings), rows


def test_advantages_by_hand() -> None:
    # mean 2, deviation of a sample sqrt((1 + 0 + 1) / 2) = 1
    assert advantages([1, 2, 3]).tolist() == pytest.approx([-1 / 1.0001, 0, 1 / 1.0001])
    assert advantages([0.7, 0.7]).tolist() == [0, 0]


def test_the_loss_by_hand() -> None:
    # Ratios 1.5 and 1 with advantage 2: the first is bounded at 1.28, so it has no gradient.
    # Ratio 0.5 with advantage -1: bounded at 0.8, which is the smaller of -0.5 and -0.8.
    # The reference differs from the policy in the last token alone, by ln 2.
    found, rows = of(
        [[math.log(0.6), math.log(0.5)], [math.log(0.25)]],
        [[math.log(0.4), math.log(0.5)], [math.log(0.5)]],
        [[math.log(0.6), math.log(0.5)], [math.log(0.5)]],
        [2, -1],
    )
    divergence = 2 - math.log(2) - 1
    first, second = -(1.28 * 2 + 1 * 2) / 2, 0.8 + 0.02 * divergence
    assert found.total.item() == pytest.approx((first + second) / 2)
    assert found.divergence == pytest.approx(divergence / 3)
    assert found.clipped == pytest.approx(2 / 3)
    found.total.backward()
    assert rows[0].grad is not None
    # -A · ratio / tokens / completions
    assert rows[0].grad.tolist() == pytest.approx([0, -2 * 1 / 2 / 2])
    assert rows[1].grad is not None
    # only the divergence: β (1 - exp(r - n)) / tokens / completions
    assert rows[1].grad.tolist() == pytest.approx([0.02 * (1 - 2) / 2])


def test_what_is_worse_may_fall_and_what_is_better_may_rise_only_so_far() -> None:
    def slope(ratio: float, advantage: float) -> float:
        found, rows = of(
            [[math.log(ratio)], [0.0]], [[0.0], [0.0]], [[0.0], [0.0]], [advantage, 0.0], beta=0
        )
        found.total.backward()
        assert rows[0].grad is not None
        return float(rows[0].grad)

    assert slope(1.27, 1) < 0 == slope(1.29, 1)
    assert slope(0.81, -1) > 0 == slope(0.79, -1)
    assert slope(0.5, 1) < 0 < slope(2.0, -1)  # on the other side nothing holds it back


@given(groups)
def test_before_an_update_it_is_worth_nothing_and_pulls_by_advantage(rows: list[list[float]]) -> None:
    advantage = advantages(list(range(len(rows))))
    found, new = of(rows, rows, rows, advantage.tolist())
    assert found.total.item() == pytest.approx(0, abs=1e-6)
    assert (found.divergence, found.clipped) == (0, 0)
    found.total.backward()
    for row, one in zip(new, advantage.tolist(), strict=True):
        assert row.grad is not None
        assert row.grad.tolist() == pytest.approx([-one / len(row) / len(rows)] * len(row), abs=1e-9)


@given(groups, st.floats(0.1, 1))
def test_the_divergence_is_never_below_nothing(rows: list[list[float]], other: float) -> None:
    found, _ = of(rows, rows, [[value * other for value in row] for row in rows], [0.0] * len(rows))
    assert found.divergence >= -1e-12
    assert found.total.item() >= -1e-12
