"""Reference rows and the randomness under them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from short_chats import fragment, request

from f2rcli.adapters.reference import Everything, Nothing, Oracle, Random
from f2rcli.adapters.retriever import Retriever, found, seeded
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.types import Fragment, Request


def answers(retriever: Retriever, requests: list[Request]) -> dict[str, str | None]:
    return {retrieval.request: retrieval.text for retrieval in retriever.retrieve(requests)}


def drawn(retriever: Retriever, one: Request) -> Fragment:
    (retrieval,) = retriever.retrieve([one])
    fragment = parse_strict(retrieval.text or "")
    assert fragment is not None
    return fragment


def test_found_writes_the_official_form_with_sorted_ids() -> None:
    retrieval = found(request("你好", id="对话:0"), fragment([10, 2], [1]))
    assert retrieval.request == "对话:0"
    assert (
        retrieval.text == "<|utt_ids_start|>[2, 10]<|utt_ids_end|>;<|img_ids_start|>[1]<|img_ids_end|>"
    )
    assert retrieval.failure is None


def test_everything_and_nothing_and_the_oracle(example: list[Request]) -> None:
    for one in example:
        assert drawn(Everything(), one) == one.dialogue.everything
        assert drawn(Nothing(), one) == Fragment()
        assert drawn(Oracle(), one) == one.gold
    assert any(one.gold == Fragment() for one in example)  # an empty gold answer was among them


@pytest.mark.parametrize("retriever", [Everything(), Nothing(), Random(1 / 3, 0)])
def test_only_the_oracle_sees_gold(retriever: Retriever, example: list[Request]) -> None:
    assert Oracle.sees_gold
    assert not retriever.sees_gold
    without = [one.without_gold() for one in example]
    assert answers(retriever, without) == answers(retriever, example)


@given(st.data(), st.integers(0, 5))
def test_a_random_draw_does_not_depend_on_the_other_requests(data: st.DataObject, seed: int) -> None:
    requests = [
        request(*(f"第{n}句" for n in range(9 + k)), query=f"问题{k}", id=f"r{k}") for k in range(6)
    ]
    full = answers(Random(0.5, seed), requests)
    some = data.draw(st.lists(st.sampled_from(requests), unique=True))
    assert answers(Random(0.5, seed), some) == {one.id: full[one.id] for one in some}


def test_random_draws_differ_by_seed_query_and_dialogue() -> None:
    turns = [f"第{n}句" for n in range(30)]
    one = request(*turns, query="面馆")
    other_query = request(*turns, query="猫")
    other_dialogue = request(*turns[:-1], "不同", query="面馆")
    first = drawn(Random(0.5, 0), one)
    assert drawn(Random(0.5, 0), one) == first
    assert drawn(Random(0.5, 1), one) != first
    assert drawn(Random(0.5, 0), other_query) != first
    assert drawn(Random(0.5, 0), other_dialogue) != first


@pytest.mark.parametrize(
    ("share", "turns", "size"),
    [(1 / 3, 9, 3), (1 / 3, 10, 3), (1 / 3, 11, 4), (0.0, 7, 0), (1.0, 7, 7), (1 / 3, 1, 0)],
)  # 10 / 3 = 3.33 → 3, 11 / 3 = 3.67 → 4
def test_random_draws_the_stated_share_of_the_ids_that_exist(
    share: float, turns: int, size: int
) -> None:
    for seed in range(5):
        one = request(*["嗯"] * turns)
        kept = drawn(Random(share, seed), one)
        assert len(kept.utterances) == size
        assert kept.utterances <= one.dialogue.everything.utterances
        assert kept.images == frozenset()


def test_random_draws_its_share_of_the_images_whatever_the_gold_size(example: list[Request]) -> None:
    sizes = set()
    for one in example:
        kept = drawn(Random(2 / 3, 7), one)
        turns = len(one.dialogue.utterances)
        assert len(kept.utterances) == round(turns * 2 / 3)  # 20 → 13, 16 → 11
        assert len(kept.images) == 2  # of 3
        assert one.gold is not None
        sizes.add(len(one.gold.utterances))
    assert len(sizes) > 2  # the gold sizes differ, the draws did not


def test_random_is_identified_by_its_share_and_seed() -> None:
    assert Random(0.25, 3).identity() == {"share": 0.25, "seed": 3}


def test_seeded_randomness_is_the_same_on_every_machine() -> None:
    # A recorded value: should it ever change, finished random runs could no longer be repeated.
    assert seeded(0, request("你好", query="面馆")).sample(range(100), 4) == [88, 21, 10, 7]
