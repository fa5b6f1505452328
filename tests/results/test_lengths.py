"""Scores by length, with bins and values by hand."""

import official
import pytest

from f2rcli.results.lengths import LENGTHS, by_length, length_of
from f2rcli.tasks.predictions import Prediction, parse_prediction


def asked(turns: int, response: str = official.EMPTY) -> Prediction:
    said = [f"甲: 第{n}句" for n in range(turns)]
    return parse_prediction(official.line(*said, response=response, labels=official.answer([0])), "")


@pytest.mark.parametrize(
    ("turns", "length"),
    [(1, "<35"), (34, "<35"), (35, "35–65"), (65, "35–65"), (66, ">65"), (400, ">65")],
)
def test_the_bins_meet_without_a_gap(turns: int, length: str) -> None:
    assert length_of(asked(turns)) == length


def test_each_length_is_scored_alone() -> None:
    """Utterance 0 is gold: found in the short dialogue, found with two others in a long one, missed in
    the other; no pictures."""
    found = [
        asked(10, official.answer([0])),
        asked(70, official.answer([0, 1, 2])),
        asked(66, official.answer([])),
    ]
    scorers = by_length(found, "strict")
    assert list(scorers) == list(LENGTHS) == ["<35", "35–65", ">65"]
    assert [scorer.samples for scorer in scorers.values()] == [1, 0, 2]
    f1 = {name: scorer.result()["utterance"]["f1"] for name, scorer in scorers.items()}
    assert f1 == {"<35": 1.0, "35–65": 0.0, ">65": pytest.approx(0.4)}  # P 1/3, R 1/2
