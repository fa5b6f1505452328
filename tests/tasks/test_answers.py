"""Reading what a model wrote: leniently, strictly, and loosely for slices."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import answer

from f2rcli.tasks.answers import parse_loose, parse_published, parse_strict
from f2rcli.tasks.types import Fragment

BOTH = Fragment(frozenset({3, 4}), frozenset({0}))
TAGS = ["<|utt_ids_start|>", "<|utt_ids_end|>", ";", "<|img_ids_start|>", "<|img_ids_end|>"]
AROUND = ["<think>", "</think>", "<answer>", "</answer>", answer([3], [0])]
INSIDE = ["[", "]", ",", "1", "23", " ", "\n", "-", ".0", "true", "猫", "９"]
TEXTS = st.lists(st.sampled_from([*TAGS, *AROUND, *INSIDE]), max_size=20).map("".join)


def utterances(inside: str) -> str:
    """An answer with this between the utterance tags, and image 0."""
    return f"<|utt_ids_start|>{inside}<|utt_ids_end|>;<|img_ids_start|>[0]<|img_ids_end|>"


def fragment(*ids: int) -> Fragment:
    return Fragment(frozenset(ids), frozenset({0}))


@pytest.mark.parametrize(
    "text",
    [
        answer([3, 4], [0]),
        f"好的：{answer([4, 3, 4], [0])} 🐱 {answer([9], [9])}",
        f"<think>{answer([3, 4], [0])}</think>{answer([], [])}",
        "<|img_ids_start|>[0]<|img_ids_end|>\n\n<|utt_ids_start|>[ 3 ,4 ]<|utt_ids_end|>",
    ],
)
def test_published_takes_the_first_pair_of_tags_anywhere(text: str) -> None:
    assert parse_published(text) == (BOTH, True)


@pytest.mark.parametrize(
    "inside",
    [
        "[1.0]",
        "[true]",
        "[1 2]",
        "[1,,2,]",
        "[1, null]",
        '["1"]',
        "[[1]]",
        "1",
        "{}",
        "",
        "[3,\n4]",
        "[1",
        "无",
    ],
)
def test_published_reads_anything_else_as_an_empty_list_of_that_modality(inside: str) -> None:
    assert parse_published(utterances(inside)) == (fragment(), False)


@pytest.mark.parametrize("inside", ["[" * 100_000, "[" + "9" * 5000 + "]"], ids=["deep", "digits"])
def test_published_survives_what_python_refuses(inside: str) -> None:
    assert parse_published(utterances(inside)) == (fragment(), False)


@pytest.mark.parametrize("text", ["", "没有", "[3, 4];[0]"])
def test_published_without_tags_is_empty_and_unreadable(text: str) -> None:
    assert parse_published(text) == (Fragment(), False)


def test_published_needs_both_modalities_to_call_it_readable() -> None:
    assert parse_published("<|utt_ids_start|>[3]<|utt_ids_end|>") == (Fragment(frozenset({3})), False)


@pytest.mark.parametrize(
    "text",
    [
        answer([3, 4], [0]),
        f"\n {answer([4, 3, 3], [0])}\u3000",
        f"<think>先看 {answer([9], [9])}\n再看</think>\n\n{answer([3, 4], [0])}",
        f"<answer> {answer([3, 4], [0])} </answer>\n",
        f" <think></think><answer>{answer([3, 4], [0])}</answer>",
        "<|utt_ids_start|>[\n3,4 ]<|utt_ids_end|>;<|img_ids_start|>[ 0 ]<|img_ids_end|>",
        "<|utt_ids_start|>[03,,4,]<|utt_ids_end|>;<|img_ids_start|>[,0]<|img_ids_end|>",
    ],
)
def test_strict_accepts_the_form_with_what_may_stand_around_it(text: str) -> None:
    assert parse_strict(text) == BOTH


def test_strict_accepts_nothing_matches() -> None:
    assert parse_strict(answer()) == Fragment()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "没有",
        "好的：" + answer([3], [0]),
        answer([3], [0]) + "。",
        answer([3], [0]) * 2,
        f"<think>想 {answer([3], [0])}",
        f"<answer>{answer([3], [0])}",
        f"<answer>{answer([3], [0])}</answer> 好",
        f"<think>一</think><think>二</think>{answer([3], [0])}",
        f"{answer([3], [0])}<think>想</think>",
        answer([3], [0]).replace(";", " ; "),
        answer([3], [0]).replace(";", "；"),
        answer([3], [0]).replace(";", ""),
        "<|img_ids_start|>[0]<|img_ids_end|>;<|utt_ids_start|>[3]<|utt_ids_end|>",
        "<|utt_ids_start|>[3]<|utt_ids_end|>",
        utterances("3"),
        utterances("[1 2]"),
        utterances("[1.0]"),
        utterances("[true]"),
        utterances("[-1]"),
        utterances("[３]"),
        utterances("[[3]]"),
        utterances("[" + "9" * 5000 + "]"),
    ],
)
def test_strict_calls_everything_else_malformed(text: str) -> None:
    assert parse_strict(text) is None


@pytest.mark.parametrize(
    ("inside", "ids"),
    [
        ("[1,,2,]", (1, 2)),
        ("[1 2]", (1, 2)),
        ("1\n\n2", (1, 2)),
        ("[1.0]", (1, 0)),
        ("第3句", (3,)),
        ("无", ()),
    ],
)
def test_slices_are_read_by_their_digits(inside: str, ids: tuple[int, ...]) -> None:
    assert parse_loose(f"\n好：{utterances(inside)}") == fragment(*ids)


def test_slices_keep_one_modality_without_the_other() -> None:
    assert parse_loose("<|img_ids_start|>[0]<|img_ids_end|>") == fragment()
    assert parse_loose("[3]") == Fragment()


def test_slices_survive_endless_digits() -> None:
    assert parse_loose(utterances(f"[{'9' * 5000}, 2]")) == fragment(2)


@given(TEXTS)
def test_what_is_strict_is_read_alike_by_all_where_it_is_json(text: str) -> None:
    strict = parse_strict(text)
    bare = text.strip()
    if strict is not None and bare.startswith("<|utt_ids_start|>"):
        assert parse_loose(text) == strict
        lenient, readable = parse_published(text)
        assert lenient == strict or not readable


@given(TEXTS)
def test_any_text_gives_ids(text: str) -> None:
    loose = parse_loose(text)
    found = [loose, parse_strict(text) or Fragment()]
    assert all(i >= 0 for fragment in found for i in (*fragment.utterances, *fragment.images))
    lenient, readable = parse_published(text)
    assert not lenient.size or "_ids_end|>" in text
    assert not readable or ("<|utt_ids_end|>" in text and "<|img_ids_end|>" in text)


def test_an_endless_thinking_block_costs_no_time() -> None:
    text = "<think>" + " " * 40_000
    began = time.perf_counter()
    assert parse_strict(text) is None
    assert time.perf_counter() - began < 0.5
