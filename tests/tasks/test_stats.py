"""What is in a dataset, counted by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import PICTURE, answer, record

from f2rcli.tasks.formats import parse
from f2rcli.tasks.stats import collect, runs
from f2rcli.tasks.types import Request

TURNS = ("user1: 你好", f"user2: 看 {PICTURE}", f"user1: {PICTURE}{PICTURE}", "user2: 是", "user1: 再见")


def request(*turns: str, gold: str | None, query: str = "小猫") -> Request:
    return parse(record(*turns, gold=gold, query=query)).requests[0]


def shared(*shares: str, gold: str, query: str = "小猫") -> Request:
    """A request of data that names its shares."""
    return replace(request(*TURNS, gold=gold, query=query), shares=shares)


@pytest.mark.parametrize(
    ("ids", "expected"), [((), 0), ((3,), 1), ((3, 5, 8), 1), ((3, 8), 2), ((3, 5, 11), 2), ((4,), 0)]
)
def test_stretches_are_of_places_and_not_of_numbers(ids: tuple[int, ...], expected: int) -> None:
    assert runs(frozenset(ids), [3, 5, 8, 9, 11]) == expected


@given(st.frozensets(st.integers(0, 9)))
def test_a_fragment_and_the_rest_take_turns(ids: frozenset[int]) -> None:
    order = list(range(10))
    assert abs(runs(ids, order) - runs(frozenset(order) - ids, order)) <= 1


def test_quantities_by_hand() -> None:
    found = collect(
        [
            request(*TURNS, gold=answer([0, 1, 4], [0])),  # 2 stretches, 60 % of 5 turns
            request(*TURNS, gold=answer([2], [1, 2]), query="小狗的照片"),  # 1 stretch, 20 %
            request("user1: 只有一句", gold=answer()),
        ]
    )
    assert {row[0]: row[1:] for row in found.rows()} == {
        "turns": ["3.67", "1.00", "5.00", "5.00"],  # (5 + 5 + 1) / 3
        "images": ["2.00", "0.00", "3.00", "3.00"],  # (3 + 3 + 0) / 3
        "query characters": ["3.00", "2.00", "2.00", "5.00"],  # (2 + 5 + 2) / 3
        "gold utterances": ["1.33", "0.00", "1.00", "3.00"],  # (3 + 1 + 0) / 3
        "gold images": ["1.00", "0.00", "1.00", "2.00"],  # (1 + 2 + 0) / 3
        "gold stretches": ["1.50", "1.00", "1.50", "2.00"],  # (2 + 1) / 2: of those with any
        "gold share of turns, %": ["40.00", "20.00", "40.00", "60.00"],  # (60 + 20) / 2
    }
    assert (found.requests, len(found.dialogues), found.nothing, found.images_only) == (3, 2, 1, 0)


def test_fragments_of_pictures_alone_are_counted() -> None:
    found = collect([request(*TURNS, gold=answer([], [1]))])
    assert (found.nothing, found.images_only) == (0, 1)


def test_nothing_collected_has_no_rows() -> None:
    found = collect([])
    assert (found.rows(), found.requests) == ([], 0)
    assert [line.split()[0] for line in found.shares()] == ["0.0%"] * 4


def test_shares_by_hand() -> None:
    found = collect(
        [
            shared("en", "nothing", gold=answer()),
            shared("en", gold=answer([1], [0]), query="你好吗"),  # 你好 is in turn 0 alone
            shared("zh", "en", gold=answer([0, 1], [0]), query="你好吗"),
            shared(gold=answer([2], [1, 2]), query="你好吗"),
            shared(gold=answer([], [1]), query="看"),
        ]
    )
    assert (found.requests, found.nothing, found.images_only, found.pictured_only) == (5, 1, 1, 2)
    assert found.without_overlap == 3  # of the four that match something
    assert not found.synthetic
    assert found.shares() == [
        " 20.0%  match nothing (1)",
        " 20.0%  only images (1)",
        " 40.0%  only utterances with pictures (2)",
        " 60.0%  no content word shared with the fragment (3)",
        " 60.0%  named en (3)",
        " 20.0%  named nothing (1)",
        " 20.0%  named zh (1)",
    ]


@pytest.mark.parametrize(
    ("gold", "pictured"),
    [([1], 1), ([2], 1), ([1, 2], 1), ([0, 1], 0), ([3], 0), ([], 0)],
)
def test_utterances_with_pictures_and_no_other(gold: list[int], pictured: int) -> None:
    """Whichever of their pictures are in the gold answer."""
    found = collect([request(*TURNS, gold=answer(gold, [0]))])
    assert found.pictured_only == pictured


@pytest.mark.parametrize(
    ("marks", "synthetic"), [([True, True], True), ([True, False], False), ([False], False), ([], False)]
)
def test_synthetic_is_what_is_synthetic_throughout(marks: list[bool], synthetic: bool) -> None:
    found = collect(shared(*["synthetic"] * mark, gold=answer()) for mark in marks)
    assert found.synthetic == synthetic
