"""Relevance and coherence over given vectors."""

import math
from random import Random

import numpy as np
import pytest
from flat import at
from hypothesis import given
from hypothesis import strategies as st
from short_chats import fragment

from f2rcli.tasks.similarity import (
    Embedded,
    Similarity,
    SimilarityTally,
    Vectors,
    coherence,
    cosine,
    elements,
    random_like,
    relevance,
)
from f2rcli.tasks.types import Dialogue, Fragment, Image, Utterance

TURNS = (
    Utterance(0, "甲", "你家猫找到了吗"),
    Utterance(1, "乙", "找到了，看这两张", (0, 1)),
    Utterance(2, "甲", "", (2,)),  # a picture message
    Utterance(5, "乙", "真可爱"),
    Utterance(6, "甲", " "),
)
DIALOGUE = Dialogue("猫", TURNS, tuple(Image(i, f"图片/{i}.png") for i in range(3)))
TEXTS = {0: at(0), 1: at(60), 5: at(90)}
IMAGES = {0: at(100), 1: at(140), 2: at(180)}
ANGLES = st.lists(st.floats(0, 360), min_size=1, max_size=6)


def angles(*, utterances: tuple[int, ...] = (), images: tuple[int, ...] = ()) -> list[float]:
    """Where a fragment's elements point to, in degrees."""
    found = elements(DIALOGUE, fragment(utterances, images), TEXTS, IMAGES)
    return [round(math.degrees(math.atan2(y, x)), 3) for x, y in found]


def test_cosines() -> None:
    assert cosine(at(10, 3), at(70, 0.1)) == pytest.approx(0.5)
    assert cosine(at(0), at(180)) == pytest.approx(-1)
    assert cosine(at(0), np.zeros(2)) == 0


def test_a_text_stands_before_the_pictures_of_its_utterance() -> None:
    assert angles(utterances=(5, 1, 0), images=(2, 0)) == [0, 60, 100, 180, 90]


def test_pictures_of_one_utterance_are_one_element() -> None:
    assert angles(utterances=(1,), images=(0, 1, 2)) == [60, 120, 180]
    [mean] = elements(DIALOGUE, fragment([], [0, 1]), TEXTS, IMAGES)
    assert float(mean @ mean) == pytest.approx(math.cos(math.radians(20)) ** 2)  # a mean, not a sum


def test_a_picture_stands_at_its_utterance_though_that_was_not_retrieved() -> None:
    assert angles(utterances=(0, 5), images=(1,)) == [0, 140, 90]


def test_what_has_no_vector_is_skipped() -> None:
    assert angles(utterances=(2, 6, 3, 99), images=(7,)) == []


def test_coherence_is_of_neighbours() -> None:
    found = elements(DIALOGUE, fragment([0, 1, 5]), TEXTS, IMAGES)
    # 0° → 60° → 90°
    assert coherence(found) == pytest.approx((0.5 + math.sqrt(3) / 2) / 2)


def test_coherence_of_fewer_than_two_is_undefined() -> None:
    assert coherence([]) is None
    assert coherence([at(10)]) is None
    assert coherence([at(10), at(10)]) == pytest.approx(1)


def test_relevance_is_the_mean_over_the_elements() -> None:
    assert relevance(at(0), [at(60), at(-60), at(180)]) == pytest.approx((0.5 + 0.5 - 1) / 3)
    assert relevance(at(0), []) is None


@given(ANGLES, ANGLES)
def test_relevance_does_not_depend_on_length(first: list[float], second: list[float]) -> None:
    """Two fragments together are as relevant as they are on the average: nothing is won by size."""
    query = at(33)
    one, two = ([at(angle) for angle in side] for side in (first, second))
    whole = relevance(query, one + two)
    mean = (len(one) * relevance(query, one) + len(two) * relevance(query, two)) / len(one + two)
    assert whole == pytest.approx(mean, abs=1e-6)


@given(st.frozensets(st.integers(0, 8)), st.frozensets(st.integers(0, 4)), st.integers(0, 99))
def test_a_random_fragment_has_as_many_elements_of_each_kind(
    utterances: frozenset[int], images: frozenset[int], seed: int
) -> None:
    def counts(some: Fragment) -> tuple[int, int]:
        texts = len(elements(DIALOGUE, Fragment(some.utterances), TEXTS, IMAGES))
        return texts, len(elements(DIALOGUE, Fragment(images=some.images), TEXTS, IMAGES))

    given_ = Fragment(utterances, images)
    drawn = random_like(given_, DIALOGUE, Random(seed))
    assert counts(drawn) == counts(given_)
    assert not (drawn - DIALOGUE.everything).size


def test_random_fragments_differ_by_the_seed() -> None:
    drawn = {random_like(fragment([0], [0]), DIALOGUE, Random(seed)) for seed in range(20)}
    assert drawn == {fragment([i], images) for i in (0, 1, 5) for images in ([0, 1], [2])}


VECTORS = Vectors(
    "平面",
    "0" * 64,
    {u.text: TEXTS[u.id] for u in TURNS if u.id in TEXTS} | {"猫在哪": at(0)},
    {image.path: IMAGES[image.id] for image in DIALOGUE.images},
    cut=3,
)
EMBEDDED = Embedded(DIALOGUE, "猫在哪", VECTORS)


def test_a_fragment_of_a_dialogue() -> None:
    found = EMBEDDED.similarity(fragment([0, 1, 2]))
    assert found == Similarity(pytest.approx(0.75), pytest.approx(0.5))
    assert EMBEDDED.similarity(fragment([2, 6])) == (None, None)
    assert EMBEDDED.similarity(fragment([2], [2])) == (pytest.approx(-1), None)


def test_the_random_fragment_of_a_request_is_always_the_same() -> None:
    assert len({EMBEDDED.at_random(fragment([0, 1], [0])) for _ in range(5)}) == 1
    others = {Embedded(DIALOGUE, f"问{i}", VECTORS).at_random(fragment([0])) for i in range(20)}
    assert len(others) == 3


def test_means_are_over_what_is_defined_and_the_rest_is_counted() -> None:
    tally = SimilarityTally()
    gold = fragment([0, 1])  # 0° and 60°
    for predicted in (fragment([0, 5]), fragment([1]), fragment()):
        tally.add(EMBEDDED, predicted, gold)
    tally.add(EMBEDDED, fragment([0, 1, 5]), fragment())
    found = tally.result()
    assert found["relevance"] == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    assert found["coherence"] == pytest.approx((0 + (0.5 + math.sqrt(3) / 2) / 2) / 2, abs=1e-6)
    beside = found["similarity"]
    assert beside["undefined"] == {"relevance": 1, "coherence": 2}
    assert beside["gold"]["undefined"] == {"relevance": 1, "coherence": 1}
    assert beside["gold"]["relevance"] == pytest.approx(0.75)
    assert beside["gold"]["coherence"] == pytest.approx(0.5)
    assert (beside["encoder"], beside["digest"], beside["cut_texts"]) == ("平面", "0" * 64, 3)
    assert isinstance(beside["random"]["relevance"], float)


def test_nothing_defined_is_null_and_not_0() -> None:
    tally = SimilarityTally()
    tally.add(EMBEDDED, fragment(), fragment())
    found = tally.result()
    assert (found["relevance"], found["coherence"]) == (None, None)
    assert found["similarity"]["random"] == {"relevance": None, "coherence": None}
    assert found["similarity"]["undefined"] == {"relevance": 1, "coherence": 1}


def test_without_an_encoder_there_is_nothing_beside() -> None:
    assert SimilarityTally().result() == {"relevance": None, "coherence": None}
