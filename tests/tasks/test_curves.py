"""Curves: hand-computed values, and at every point what counting one by one gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.tasks.curves import (
    POINTS,
    Candidates,
    Curve,
    Margins,
    Similarities,
    Thresholds,
    highest,
    margins,
)
from f2rcli.tasks.metrics import Counts, count
from f2rcli.tasks.types import Dialogue, Fragment, Image, Utterance


def chat(*turns: str | tuple[str, int]) -> Dialogue:
    """A turn with pictures is a pair of its text and their number."""
    utterances: list[Utterance] = []
    total = 0
    for i, turn in enumerate(turns):
        text, number = (turn, 0) if isinstance(turn, str) else turn
        utterances.append(Utterance(i, "甲", text, tuple(range(total, total + number))))
        total += number
    return Dialogue("聊天", tuple(utterances), tuple(Image(i, f"{i}.png") for i in range(total)))


def fragment(utterances: set[int] = frozenset(), images: set[int] = frozenset()) -> Fragment:  # type: ignore[assignment]
    return Fragment(frozenset(utterances), frozenset(images))


def test_what_reaches_its_threshold_is_taken() -> None:
    dialogue = chat("猫", "狗", ("看", 1), ("", 2), ("", 0))
    found = Similarities((0.8, 0.799999, 0.3, None, None), (0.2, 0.25, 0.1))
    above = margins(dialogue, found, Thresholds(0.8, 0.2))
    assert above.images == {0: 0.0, 1: 0.05, 2: -0.1}
    assert above.utterances == {0: 0.0, 1: -0.000001, 2: -0.5, 3: 0.05}  # 3 goes with picture 1
    assert above.fragment() == fragment({0, 3}, {0, 1})
    assert above.fragment(0.05) == fragment({3}, {1})
    assert above.fragment(-0.1) == fragment({0, 1, 3}, {0, 1, 2})


def test_a_picture_that_nobody_saw_takes_nothing_along() -> None:
    above = margins(chat(("", 1)), Similarities((None,), (None,)), Thresholds(-1, -1))
    assert above == Margins({}, {})


def test_of_equals_the_first_are_taken() -> None:
    assert highest({4: 0.1, 2: 0.5, 3: 0.5, 9: 0.5}, 2) == {2, 3}
    assert highest({4: 0.1}, 3) == {4}


def test_average_precision_by_hand() -> None:
    candidates = Candidates()
    assert candidates.average_precision() is None
    candidates.add({0: 0.9, 1: 0.5, 2: 0.5, 3: 0.1}, frozenset({0, 3}))
    # 0.9: P 1, R 1/2; 0.5: P 1/3, R 1/2; 0.1: P 2/4, R 1, so 1/2 · 1 + 0 + 1/2 · 1/2
    assert candidates.average_precision() == pytest.approx(0.75)
    candidates.add({}, frozenset({7, 8}))  # never found: every recall is half as high
    assert candidates.average_precision() == pytest.approx(0.375)


def test_a_curve_by_hand() -> None:
    curve = Curve(Thresholds(0.5, 0.2))
    curve.add(chat("猫", "狗", ("看", 1)), Similarities((0.9, 0.5, 0.1), (0.3,)), fragment({0, 2}, {0}))
    curve.add(chat("鸟", ("", 1)), Similarities((0.6, None), (0.1,)), fragment({1}, set()))
    result = curve.result()
    assert result["requests"] == 2
    assert result["thresholds"] == {"utterances": 0.5, "images": 0.2}
    by_offset = {point["offset"]: point for point in result["points"]}
    assert list(by_offset) == [0.4, 0.1, 0.0, -0.1, -0.4]
    own = by_offset[0.0]  # takes 0, 1 and 0, and image 0: of 3 gold utterances one
    assert own["utterance"] == pytest.approx({"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3})
    assert own["image"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert own["joint"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})
    lower = by_offset[-0.1]  # also image 0 of the second, and utterance 1 with it
    assert (lower["utterance_threshold"], lower["image_threshold"]) == (0.4, 0.1)
    assert lower["utterance"] == pytest.approx({"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7})
    assert lower["image"] == pytest.approx({"precision": 1 / 2, "recall": 1.0, "f1": 2 / 3})
    assert by_offset[0.4]["image"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    # utterances by margin: 0.4 gold, 0.1 not, 0.0 not, -0.1 gold, -0.4 gold
    precision = (1 / 3) * (1 / 1 + 2 / 4 + 3 / 5)
    assert result["average_precision"] == {"utterance": pytest.approx(precision), "image": 1.0}


NUMBERS = st.none() | st.integers(-20, 20).map(lambda n: n / 20)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Dialogue, Similarities, Fragment]:
    turns = draw(st.lists(st.tuples(st.sampled_from(["", "猫"]), st.integers(0, 2)), max_size=4))
    dialogue = chat(*turns)
    texts = [None if not text else draw(NUMBERS) for text, _ in turns]
    images = [draw(NUMBERS) for _ in dialogue.images]
    gold = Fragment(
        *(frozenset(draw(st.sets(st.integers(0, max(len(each), 1))))) for each in (texts, images))
    )
    return dialogue, Similarities(tuple(texts), tuple(images)), gold


@given(st.lists(requests(), min_size=1, max_size=4), st.integers(-10, 10), st.integers(-10, 10))
def test_every_point_is_what_counting_gives(
    asked: list[tuple[Dialogue, Similarities, Fragment]], text_level: int, image_level: int
) -> None:
    thresholds = Thresholds(text_level / 10, image_level / 10)
    curve = Curve(thresholds)
    for dialogue, found, gold in asked:
        curve.add(dialogue, found, gold)
    points = curve.result()["points"]
    assert 0.0 in [point["offset"] for point in points]
    assert sorted((p["offset"] for p in points), reverse=True) == [p["offset"] for p in points]
    for point in points:
        sums = {"utterance": Counts(), "image": Counts()}
        for dialogue, found, gold in asked:
            taken = margins(dialogue, found, thresholds).fragment(point["offset"])
            sums["utterance"].add(count(taken.utterances, gold.utterances, ()))
            sums["image"].add(count(taken.images, gold.images, ()))
        for name, counts in sums.items():
            metrics = counts.metrics()
            assert point[name] == pytest.approx(
                {"precision": metrics.precision, "recall": metrics.recall, "f1": metrics.f1}
            )


def test_of_many_points_the_runs_own_and_the_best_are_kept() -> None:
    curve = Curve(Thresholds(0.5, 0.5))
    texts = tuple(i / 5000 for i in range(5000))
    curve.add(chat(*["猫"] * 5000), Similarities(texts, ()), fragment({4999, 4998, 4321}))
    points = curve.result()["points"]
    assert POINTS <= len(points) <= POINTS + 4
    assert max(point["utterance"]["f1"] for point in points) == pytest.approx(0.8)  # the best two
    assert [p["offset"] for p in points if p["utterance_threshold"] == 0.5] == [0.0]


def test_similarities_are_kept_and_read_again() -> None:
    dialogue = chat("猫", ("", 1))
    found = Similarities((0.123456, None), (-0.5,))
    assert Similarities.of_details(found.details(), dialogue) == found
    assert Similarities.of_details({"images": 3}, dialogue) is None
    for other in (chat("猫"), chat("猫", "狗", ("", 1))):
        with pytest.raises(ValueError, match="another dialogue"):
            Similarities.of_details(found.details(), other)
