"""Rewards, with values that are worked out by hand."""

import math
from dataclasses import replace

import pytest
from official import EMPTY, answer
from rewarding import VECTORS, asked, one
from short_chats import fragment

from f2rcli.training.reward_formulas import (
    exact_match,
    f1,
    format,
    mcc,
    order_similarity,
    order_similarity_published,
)
from f2rcli.training.rewards import REWARDS


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (answer([1, 2], [0]), 1),
        (answer([2, 1], [0]), 1),
        (answer([1], [0]), (2 / 3 * 0.95 + 1) / 2),
        (answer([1, 2, 4, 5], [0]), (2 * (1 / 2) * 1 / (3 / 2) * 0.95**2 + 1) / 2),
        (answer([1, 1, 2], [0]), (2 * (2 / 3) * 1 / (5 / 3) * 0.95 + 1) / 2),  # precision 2 / 3
        (answer([1, 2], []), 1 / 2),
        (answer([4, 99], [0]), 1 / 2),
        (answer([1, 2], [0]).replace("[1, 2]", "[1,,\n2,]"), 1),
        (answer([1, 2], [0]).replace("[1, 2]", "[1 2]"), 0),
        (answer([1, 2], [0]).replace("1", "9" * 5000), 0),
        (answer([1, 2], [0]) + "。", 0),
        (f"<answer>{answer([1, 2], [0])}</answer>", 0),
        (EMPTY, 0),
        ("", 0),
    ],
)
def test_f1_by_hand(completion: str, value: float) -> None:
    assert f1([completion], asked([1, 2], [0])) == [pytest.approx(value)]


def test_f1_where_nothing_matches() -> None:
    request = asked()
    assert f1([EMPTY, answer([1]), answer([1], [0]), "没有"], request) == [1, 0.5, 0, 0]


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (answer([5, 1], [2]), 1),
        (EMPTY, 1),
        (EMPTY.replace("[]", "[1 2]", 1), 1),
        (EMPTY.replace("[]", "[ 1,,2 ,]", 1), 1),
        (answer([1, 1]), 0),
        (answer([], [2, 0, 2]), 0),
        (EMPTY.replace("[]", "[1, 01]", 1), 0),
        (answer([1]) + " ", 0),
        (answer([1]).replace(";", "；"), 0),
        (EMPTY.replace("[]", "[-1]", 1), 0),
        ("找不到", 0),
    ],
)
def test_the_format(completion: str, value: float) -> None:
    assert format([completion], asked()) == [value]


@pytest.mark.parametrize(
    ("utterances", "images", "mended", "published"),
    [
        # 0° → 60° → 90°
        ([0, 1, 2], [], (0.5 + math.sqrt(3) / 2) / 2, 0),
        ([2, 0, 1], [], (0.5 + math.sqrt(3) / 2) / 2, 0),
        # images 0 and 1 are one element of 220°, then 280°
        ([], [0, 1, 2], 0.5, 0),
        # 90° → 150° → 200°
        ([2, 3], [0], (0.5 + math.cos(math.radians(50))) / 2, (0.5 + math.cos(math.radians(50))) / 2),
        # a picture stands at its utterance, which was not retrieved: 200° → 120°
        ([4], [0], math.cos(math.radians(80)), math.cos(math.radians(80))),
        ([0, 5], [], -1, 0),
        # single elements; the picture message has no text of its own
        ([4], [], 0.5, 0),
        ([], [2], 0.5, 0),
        ([], [0, 1], 0.5, 0),
        ([6], [2], 0.5, 0.5),
        ([6], [], 0, 0),
        # ids that the dialogue lacks
        ([0, 1, 77], [], 0.5, 0),
        ([0, 1], [88], 0.5, 0),
        ([77], [88], 0, 0),
        ([], [], 0, 0),
    ],
)
def test_order_similarities_by_hand(
    utterances: list[int], images: list[int], mended: float, published: float
) -> None:
    batch, request = [answer(utterances, images)], asked([5])
    assert order_similarity(batch, request, VECTORS) == [pytest.approx(mended, abs=1e-6)]
    assert order_similarity_published(batch, request, VECTORS) == [pytest.approx(published, abs=1e-6)]


@pytest.mark.parametrize("name", ["order_similarity", "order_similarity_published"])
def test_order_similarity_of_the_empty_fragment(name: str) -> None:
    """What is not strict counts as empty, and so does a list that holds nothing readable."""
    batch = [EMPTY, "没有", EMPTY.replace("[]", "[1 2]", 1), answer([0], [0])]
    assert REWARDS[name](batch, asked(), VECTORS) == [1, 1, 1, 0]
    assert REWARDS[name](batch[:3], asked([0]), VECTORS) == [0, 0, 0]


@pytest.mark.parametrize("name", ["order_similarity", "order_similarity_published"])
def test_an_unreadable_item_is_dropped_by_the_order_similarities(name: str) -> None:
    odd = answer([0, 4], [0]).replace("[0, 4]", "[0 1, 4]")
    assert one(name, odd, asked([4], [0])) == one(name, answer([4], [0]), asked([4], [0])) != 0


@pytest.mark.parametrize("name", ["order_similarity", "order_similarity_published"])
def test_order_similarity_needs_vectors(name: str) -> None:
    with pytest.raises(ValueError, match="embeddings"):
        REWARDS[name]([EMPTY], asked(), None)


# utterances 0..6, images 0..2
TWO_OF_SEVEN = (1 * 4 - 1 * 1) / math.sqrt(2 * 2 * 5 * 5)  # TP 1, FP 1, FN 1, TN 4


@pytest.mark.parametrize(
    ("completion", "gold", "value"),
    [
        (answer([1, 2], [0]), ([1, 2], [0]), 1),
        (answer([2, 3], [0]), ([1, 2], [0]), (TWO_OF_SEVEN + 1) / 2),
        (answer([2, 3, 3, 99], [0, 7]), ([1, 2], [0]), (TWO_OF_SEVEN + 1) / 2),
        (answer([1, 2], [1]), ([1, 2], [0]), (1 - 0.5) / 2),  # FP 1, FN 1, TN 1
        (answer([1, 2], []), ([1, 2], [0]), 1 / 2),
        (answer([1, 2], []), ([1, 2], []), 1),
        (answer([1, 2], [7]), ([1, 2], []), 1 / 2),  # a list of what does not exist is not empty
        (answer([1, 2], [0]) + " ", ([1, 2], [0]), 0),
        ("", ([], []), 1),
    ],
)
def test_mcc_by_hand(completion: str, gold: tuple[list[int], list[int]], value: float) -> None:
    assert mcc([completion], asked(*gold)) == [pytest.approx(value)]


def test_the_mcc_of_made_up_images_is_over_21_ids() -> None:
    """The release's universe of a dialogue without images."""
    request = replace(asked([0], [], "user1: 你好", "user2: 嗯"), gold=fragment([0], [3]))
    assert mcc([answer([0], [3]), answer([0], [4])], request) == [1, pytest.approx((1 - 1 / 20) / 2)]


def test_the_mcc_is_0_where_everything_is_gold_and_found() -> None:
    request = asked([0], [0], "user1: 你好 🖼", "user2: 嗯")
    assert mcc([answer([0], [0])], request) == [1 / 2]  # one image, and so no true negative


def test_exact_matches_are_in_order_and_without_repetition() -> None:
    batch = [answer([1, 2], [0]), answer([2, 1], [0]), answer([1, 2, 2], [0]), answer([1, 2])]
    odd = [batch[0].replace("[1, 2]", text) for text in ("[1,,2,]", "[1, 2, 3 4]")]
    assert exact_match([*batch, *odd, batch[0] + "\n"], asked([2, 1], [0])) == [1, 0, 0, 0, 1, 0, 0]
    assert exact_match([EMPTY, "", EMPTY.replace("[]", "[1 2]", 1)], asked()) == [1, 0, 0]


@pytest.mark.parametrize("name", ["f1", "mcc", "exact_match", "order_similarity"])
def test_without_gold_there_is_no_reward(name: str) -> None:
    with pytest.raises(ValueError, match="no gold"):
        one(name, EMPTY, asked([1]).without_gold())
