"""The best thresholds there are."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from short_chats import fragment, request

from f2rcli.adapters.embedding.thresholds import choose_thresholds
from f2rcli.tasks.curves import Similarities, Thresholds, margins
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.metrics import Counts, count
from f2rcli.tasks.types import Dialogue, Image, Request, Utterance

Pair = tuple[Request, Similarities]


def pair(
    utterances: list[float | None], images: list[float], gold: list[int], gold_images: list[int]
) -> Pair:
    """The pictures are carried by the utterances without a similarity, in turn, or by the first."""
    bare = [i for i, value in enumerate(utterances) if value is None] or [0]
    carried = {i: tuple(range(len(images)))[k :: len(bare)] for k, i in enumerate(bare)}
    said = tuple(
        Utterance(i, "甲", "" if value is None else "猫", carried.get(i, ()))
        for i, value in enumerate(utterances)
    )
    shown = tuple(Image(i, f"{i}.png") for i in range(len(images)))
    made = request("猫", gold=fragment(gold, gold_images))
    object.__setattr__(made, "dialogue", Dialogue("聊天", said, shown))
    return made, Similarities(tuple(utterances), tuple(images))


def joint_f1(found: list[Pair], thresholds: Thresholds) -> float:
    sums = Counts(), Counts()
    for one, similarities in found:
        taken = margins(one.dialogue, similarities, thresholds).fragment()
        assert one.gold is not None
        sums[0].add(count(taken.utterances, one.gold.utterances, ()))
        sums[1].add(count(taken.images, one.gold.images, ()))
    return (sums[0].metrics().f1 + sums[1].metrics().f1) / 2


def test_what_separates_is_found_for_each_kind() -> None:
    found = [pair([0.9, 0.8, 0.3], [0.3, 0.1], [0, 1], [0]), pair([0.85, 0.79], [0.2], [0], [])]
    chosen = choose_thresholds(found)
    assert chosen.thresholds == Thresholds(0.8, 0.3)
    assert chosen.f1 == 1.0


def test_a_turn_of_pictures_pulls_at_their_threshold() -> None:
    """Image 1 is not gold, but the utterance that is nothing but it is: taking both is worth more."""
    found = [pair([0.9, None, None], [0.5, 0.4], [0, 1, 2], [0])]
    chosen = choose_thresholds(found)
    # with 0.5: utterances P 1, R 2/3, F1 4/5; images F1 1; with 0.4: utterances 1; images 2/3
    assert chosen.thresholds == Thresholds(0.9, 0.5)
    assert chosen.f1 == pytest.approx((4 / 5 + 1) / 2)
    twice = [pair([0.9, None, None, None], [0.5, 0.4, 0.4], [0, 1, 2, 3], [0, 1])]
    assert choose_thresholds(twice).thresholds == Thresholds(0.9, 0.4)


def test_one_threshold_for_both_where_pictures_go_with_utterances() -> None:
    one, _ = pair([0.9, 0.5], [0.0], [0, 1], [0])
    chosen = choose_thresholds([(one, Similarities((0.9, 0.5), (0.9,)))], alike=True)
    assert chosen == (Thresholds(0.5, 0.5), 1.0)


@pytest.mark.parametrize(
    ("utterances", "images", "what"), [([0.5], [], "pictures"), ([None], [0.5], "texts")]
)
def test_nothing_to_choose_between_is_an_error(
    utterances: list[float | None], images: list[float], what: str
) -> None:
    with pytest.raises(InputError, match=f"there are no {what}"):
        choose_thresholds([pair(utterances, images, [], [])])


NUMBERS = st.integers(-5, 5).map(lambda n: n / 5)
PAIRS = st.builds(
    pair,
    st.lists(st.none() | NUMBERS, min_size=1, max_size=4),
    st.lists(NUMBERS, max_size=3),
    st.lists(st.integers(0, 3), unique=True),
    st.lists(st.integers(0, 2), unique=True),
)


@given(st.lists(PAIRS, min_size=1, max_size=3))
def test_no_other_pair_is_better(found: list[Pair]) -> None:
    levels = [sorted({v for _, s in found for v in s[k] if v is not None}) for k in (0, 1)]
    if not all(levels):
        with pytest.raises(InputError):
            choose_thresholds(found)
        return
    chosen = choose_thresholds(iter(found))
    assert joint_f1(found, chosen.thresholds) == pytest.approx(chosen.f1)
    best = max(joint_f1(found, Thresholds(*both)) for both in product(*levels))
    assert chosen.f1 == pytest.approx(best)
