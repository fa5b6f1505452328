"""Scores by the shares that the data names, exact answers, and what is called synthetic."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import EMPTY, answer, line

from f2rcli.tasks.predictions import Prediction, parse_prediction
from f2rcli.tasks.scoring import PROTOCOLS, Protocol, Scorer, score, score_shares

FOUR = ("user1: 你好", "user2: 看 🖼", "user1: 可爱🐱", "user2: 是")  # utterances 0..3, image 0
NAMES = st.lists(st.sampled_from(["synthetic", "zh", "en", "无"]), max_size=3, unique=True)


def prediction(response: str, labels: str, *shares: str, **ours: Any) -> Prediction:
    f2r = {"shares": list(shares), **ours}
    return parse_prediction(line(*FOUR, response=response, labels=labels, f2r=f2r), "0")


def exact(protocol: Protocol, *predictions: Prediction) -> float:
    scorer = Scorer(protocol)
    for one in predictions:
        scorer.add(one)
    return scorer.exact


RIGHT = prediction(answer([1], [0]), answer([1], [0]), "zh", "synthetic")
HALF = prediction(answer([1]), answer([1, 2]), "en", "synthetic")
NOTHING = prediction(EMPTY, EMPTY, "zh", "nothing", "synthetic")
WRONG = prediction(answer([3]), EMPTY, "zh", "nothing", "synthetic")
PLAIN = prediction(answer([1]), answer([1]))


def test_shares_by_hand() -> None:
    found = score_shares([RIGHT, HALF, NOTHING, WRONG, PLAIN], "strict")
    assert {share: scorer.samples for share, scorer in found.items()} == {
        "synthetic": 4,
        "zh": 3,
        "nothing": 2,
        "en": 1,
    }
    assert list(found) == ["synthetic", "zh", "nothing", "en"]  # the largest first
    f1 = {share: scorer.result()["utterance"]["f1"] for share, scorer in found.items()}
    assert f1 == pytest.approx(
        {
            "synthetic": 2 * 2 / (2 * 2 + 1 + 1),  # TP 1 + 1, FP 1 (WRONG), FN 1 (HALF)
            "zh": 2 / (2 + 1),  # TP 1, FP 1
            "nothing": 0,
            "en": 2 / 3,
        }
    )
    assert {share: scorer.exact for share, scorer in found.items()} == pytest.approx(
        {"synthetic": 2 / 4, "zh": 2 / 3, "nothing": 1 / 2, "en": 0}
    )


def test_of_two_shares_of_one_size_the_first_comes_first() -> None:
    one, two = prediction(EMPTY, EMPTY, "乙", "甲"), prediction(EMPTY, EMPTY, "丙", "甲")
    assert list(score_shares([one, two], "strict")) == ["甲", "乙", "丙"]


def test_data_that_names_no_shares_has_none() -> None:
    assert score_shares([PLAIN, PLAIN], "published") == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_share_is_scored_as_a_file_of_its_own(protocol: Protocol) -> None:
    everything = [RIGHT, HALF, NOTHING, WRONG, PLAIN]
    for share, scorer in score_shares(everything, protocol).items():
        alone = score(one for one in everything if share in one.shares)[protocol]
        for average in ("micro", "macro"):
            assert scorer.result(average) == alone.result(average)


@pytest.mark.parametrize(
    ("response", "labels", "published", "strict"),
    [
        (EMPTY, EMPTY, 1, 1),
        (answer([2, 1], [0]), answer([1, 2], [0]), 1, 1),
        (answer([1]), answer([1], [0]), 0, 0),
        (answer([1], [0]), answer([1]), 0, 0),
        (answer([1, 9]), answer([1]), 0, 0),  # an id that does not exist
        ("好：" + answer([1]), answer([1]), 1, 0),  # only the published protocol reads it
        ("", EMPTY, 0, 0),  # malformed, and no answer that nothing matches
        ("没有", EMPTY, 0, 0),
    ],
)
def test_an_exact_answer_is_the_gold_fragment(
    response: str, labels: str, published: int, strict: int
) -> None:
    one = prediction(response, labels)
    assert (exact("published", one), exact("strict", one)) == (published, strict)


@pytest.mark.parametrize("kind", ["error", "refused", "truncated"])
def test_a_failure_is_not_exact_whatever_it_looks_like(kind: str) -> None:
    failed = prediction(EMPTY, EMPTY, failures={kind: "x"})
    assert [exact(protocol, failed) for protocol in PROTOCOLS] == [0, 0]
    assert [exact(protocol, failed, NOTHING) for protocol in PROTOCOLS] == [0.5, 0.5]


def test_nothing_scored_is_not_exact() -> None:
    assert exact("strict") == 0


@pytest.mark.parametrize(
    ("predictions", "synthetic"),
    [
        ([RIGHT, HALF], True),
        ([NOTHING], True),
        ([RIGHT, PLAIN], False),
        ([PLAIN], False),
        ([], False),
        ([prediction(EMPTY, EMPTY, "synthetic", failures={"error": "x"}), RIGHT], True),
        ([prediction(EMPTY, EMPTY, "not synthetic")], False),
    ],
)
def test_synthetic_is_said_where_every_request_is(
    predictions: list[Prediction], synthetic: bool
) -> None:
    for scorer in score(predictions).values():
        for average in ("micro", "macro"):
            assert scorer.result(average).get("synthetic") == (True if synthetic else None)


@given(st.lists(NAMES, max_size=8))
def test_every_request_counts_once_to_each_of_its_shares(named: list[list[str]]) -> None:
    found = score_shares([prediction(EMPTY, EMPTY, *shares) for shares in named], "strict")
    assert {share: scorer.samples for share, scorer in found.items()} == {
        share: sum(share in shares for shares in named) for share in set().union(*named)
    }
