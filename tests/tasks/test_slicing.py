"""Cutting a long dialogue, and putting perfect answers to its slices together again."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official import answer, record

from f2rcli.tasks.predictions import Answer
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.slicing import MAX_TURNS, merge_answers, merged_line, slice_request
from f2rcli.tasks.tags import dialogue_ids, parse_content, render_answer, render_content
from f2rcli.tasks.types import Dialogue, Fragment, Image, Query, Request, Utterance


def request(pictures: Sequence[int], gold: Fragment | None = None) -> Request:
    """A dialogue with so many pictures in each turn; every picture has the same path."""
    utterances: list[Utterance] = []
    images = 0
    for n, carried in enumerate(pictures):
        utterances.append(Utterance(n, "小林", f"第{n}句🐱", tuple(range(images, images + carried))))
        images += carried
    dialogue = Dialogue("周末", tuple(utterances), tuple(Image(i, "猫.jpg") for i in range(images)))
    prompt = PromptTemplate.load("zh").render("小猫", dialogue)
    return Request("周末:0", dialogue, Query("小猫"), prompt, gold, "a.json:1")


@st.composite
def requests(draw: st.DrawFn) -> Request:
    pictures = draw(st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=1, max_size=30))
    asked = request(pictures)
    utterances = draw(st.frozensets(st.sampled_from(range(len(pictures)))))
    images = draw(st.frozensets(st.sampled_from(range(sum(pictures))))) if sum(pictures) else frozenset()
    return request(pictures, Fragment(utterances, images)) if draw(st.booleans()) else asked


@settings(deadline=None)
@given(requests(), st.integers(1, 12))
def test_slices_are_a_partition_of_equal_parts(asked: Request, most: int) -> None:
    slices = slice_request(asked, most)
    sizes = [len(part.request.dialogue.utterances) for part in slices]
    turns = len(asked.dialogue.utterances)
    assert len(slices) == -(-turns // most)  # the fewest that are short enough
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    said = [(u.id, u.text) for part in slices for u in part.request.dialogue.utterances]
    assert said == [(u.id, u.text) for u in asked.dialogue.utterances]
    assert [i for part in slices for i in part.images] == list(range(len(asked.dialogue.images)))


@settings(deadline=None)
@given(requests(), st.integers(1, 12))
def test_perfect_answers_to_the_slices_give_the_gold_back(asked: Request, most: int) -> None:
    slices = slice_request(asked, most)
    if asked.gold is None:
        assert all(part.request.gold is None for part in slices)
        return
    answers = [
        Answer(render_answer(part.request.gold or Fragment()), part.images, len(asked.dialogue.images))
        for part in slices
    ]
    assert merge_answers(answers, asked.dialogue) == asked.gold


@settings(deadline=None)
@given(requests(), st.integers(1, 12))
def test_a_slices_prompt_shows_that_slice_in_the_official_form(asked: Request, most: int) -> None:
    for part in slice_request(asked, most):
        message = render_content(part.request.prompt)
        dialogue = part.request.dialogue
        assert dialogue_ids(message) == ([u.id for u in dialogue.utterances], len(dialogue.images))
        assert [i.id for i in dialogue.images] == list(range(len(dialogue.images)))
        assert parse_content(message).utterances == dialogue.utterances
        assert message.startswith(asked.prompt.head)
        assert message.endswith(asked.prompt.tail)


def test_a_cut_by_hand() -> None:
    asked = request([1, 0, 2, 0, 1], Fragment(frozenset({1, 4}), frozenset({1, 3})))
    first, second = slice_request(asked, 3)  # turns 0 1 | 2 3 4
    assert (first.request.id, second.request.id) == ("周末:0_split_0", "周末:0_split_1")
    assert (first.request.dialogue.id, second.request.dialogue.id) == ("周末_split_0", "周末_split_1")
    assert (first.images, second.images) == ((0,), (1, 2, 3))
    assert first.request.gold == Fragment(frozenset({1}), frozenset())
    assert second.request.gold == Fragment(frozenset({4}), frozenset({0, 2}))
    assert second.request.dialogue.utterances[0] == Utterance(2, "小林", "第2句🐱", (0, 1))
    assert second.request.where == "a.json:1"


@pytest.mark.parametrize(("turns", "most"), [(5, 5), (5, 100), (300, None), (MAX_TURNS, MAX_TURNS)])
def test_a_short_dialogue_is_its_own_only_slice(turns: int, most: int | None) -> None:
    asked = request([1] * turns)
    [only] = slice_request(asked, most)
    assert only.request == asked
    assert only.images == tuple(range(turns))


def test_over_a_hundred_turns_are_cut() -> None:
    assert [len(part.request.dialogue.utterances) for part in slice_request(request([0] * 201))] == [
        67
    ] * 3


def test_a_recorded_prompt_is_cut_too(golden: Path) -> None:
    for made in json.loads((golden / "sliding/original.json").read_text(encoding="utf-8")):
        [asked] = parse_record(made).requests
        slices = slice_request(asked)
        assert len(slices) > 1
        for part in slices:
            sent = render_content(part.request.prompt)
            assert parse_content(sent).problems == []
            assert sent.startswith(asked.prompt.head)
        lines = [line for part in slices for turn in part.request.prompt.turns for line in turn]
        whole = [line for turn in asked.prompt.turns for line in turn]
        assert [x for x in lines if isinstance(x, str)] == [x for x in whole if isinstance(x, str)]


def test_slice_answers_are_read_loosely_and_images_that_are_not_there_dropped() -> None:
    asked = request([1, 0, 1, 1])
    answers = [
        Answer(
            "<|utt_ids_start|>[0,\n1]<|utt_ids_end|>;<|img_ids_start|>[0, 1]<|img_ids_end|>", (0,), 3
        ),
        Answer("没有", (1, 2), 3),
        Answer(answer([3, 99], [1, 7]), (1, 2), 3),
    ]
    merged = merge_answers(answers, asked.dialogue)
    assert merged == Fragment(frozenset({0, 1, 3, 99}), frozenset({0, 2}))


def test_no_answers_are_nothing() -> None:
    [asked] = parse_record(record("user1: 你好")).requests
    assert merge_answers([], asked.dialogue) == Fragment()


def test_what_a_prediction_line_keeps_of_its_slices() -> None:
    [asked] = parse_record(record("user1: 你好", gold=answer([]))).requests
    answers = [Answer("一", (1, 0), 2), Answer("二", (), 2)]
    line = merged_line(asked, answers, {"failures": {}})
    assert line["f2r"]["slices"] == [
        {"response": "一", "images": [1, 0]},
        {"response": "二", "images": []},
    ]
    assert line["response"] == answer([])
    assert merged_line(asked, answers, {"failures": {"error": "x"}})["response"] == ""


def test_slices_count_to_the_shares_of_the_whole() -> None:
    asked = replace(request([0] * 5, Fragment()), shares=("zh", "无"))
    assert [part.request.shares for part in slice_request(asked, 2)] == [("zh", "无")] * 3
    merged = merged_line(asked, [Answer("", (), 0)], {"failures": {}})
    assert merged["f2r"]["shares"] == ["zh", "无"]
