"""BM25 within a dialogue, against values worked out by hand."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from short_chats import fragment, picture, request

from f2rcli.adapters.lexical import BM25, fragment_above, words
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.types import Fragment

THREE = ("cat cat", "the cat and dog", "we eat noodles")  # 2, 4 and 3 words: 3 on average
QUERY = "cat dog bird"
CAT = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))  # in 2 of 3: ln 1.6 = 0.4700
DOG = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))  # in 1 of 3: ln 2.667 = 0.9808
BIRD = math.log(1 + (3 - 0 + 0.5) / (0 + 0.5))  # in none: ln 8 = 2.0794


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("走丢的猫", ["走", "丢", "的", "猫", "走丢", "丢的", "的猫"]),
        ("猫", ["猫"]),
        ("周日，开门吗？", ["周", "日", "周日", "开", "门", "吗", "开门", "门吗"]),
        ("The CAT, the cat!", ["the", "cat", "the", "cat"]),
        ("用Qwen2模型", ["用", "qwen2", "模", "型", "模型"]),
        ("snake_case", ["snake", "case"]),
        ("カレー 김치", ["カ", "レ", "ー", "カレ", "レー", "김", "치", "김치"]),
        ("😋 …", []),
    ],
)
def test_words_characters_and_pairs_of_characters(text: str, expected: list[str]) -> None:
    assert sorted(words(text)) == sorted(expected)


def test_scores_are_the_share_of_the_querys_weight() -> None:
    total = CAT + DOG + BIRD  # 3.5303
    # k1 · (1 - b + b · length / average): 1.5 · (0.25 + 0.75 · 2 / 3) = 1.125, for 4 words 1.875
    expected = {
        0: CAT * 2 / (2 + 1.125) / total,  # 0.4700 · 0.64 / 3.5303 = 0.0852
        1: (CAT + DOG) * 1 / (1 + 1.875) / total,  # 1.4508 · 0.3478 / 3.5303 = 0.1429
        2: 0.0,
    }
    assert expected == pytest.approx({0: 0.0852, 1: 0.1429, 2: 0.0}, abs=5e-5)
    assert BM25(0.1).scores(request(*THREE, query=QUERY)) == pytest.approx(expected, abs=1e-6)


def test_a_word_said_twice_in_the_query_counts_once() -> None:
    once = BM25(0.1).scores(request(*THREE, query="cat dog"))
    assert BM25(0.1).scores(request(*THREE, query="cat dog dog DOG")) == once


def test_chinese_needs_no_segmentation_and_order_counts() -> None:
    one = request("面条很好吃", "那家面馆怎么样", "馆子里卖面呢呢", "好的", query="面馆")
    scores = BM25(0.1).scores(one)
    assert scores[1] > scores[2] > 0  # both characters, of equally long lines, and the pair once
    assert scores[0] > 0  # one character
    assert scores[3] == 0


def test_a_query_of_one_character_finds_it_within_a_longer_word() -> None:
    scores = BM25(0.1).scores(request("走丢的猫", "好的", query="猫"))
    idf = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5))  # ln 2, and the query's whole weight
    # 7 and 3 words (4 + 3 and 2 + 1), 5 on average: 1.5 · (0.25 + 0.75 · 7 / 5) = 1.95
    assert scores == pytest.approx({0: idf / (1 + 1.95) / idf, 1: 0.0}, abs=1e-6)  # 0.3390


def test_the_cutoff_is_inclusive_and_never_keeps_a_zero() -> None:
    dialogue = request(*THREE).dialogue
    scores = {0: 0.25, 1: 0.5, 2: 0.0}
    assert fragment_above(scores, 0.5, dialogue) == fragment([1])
    assert fragment_above(scores, 0.25, dialogue) == fragment([0, 1])
    assert fragment_above(scores, 0.0, dialogue) == fragment([0, 1])


def test_a_picture_goes_with_its_utterance(tmp_path: Path) -> None:
    a, b, c = (picture(tmp_path / f"{n}.png", n) for n in range(3))
    one = request("你好", ("看这只猫咪", [a, b]), ("这碗面", [c]), query="猫咪")
    (retrieval,) = BM25(0.1).retrieve([one])
    assert parse_strict(retrieval.text or "") == fragment([1], [0, 1])


@pytest.mark.parametrize("query", ["火车", "？！", "bird"])
def test_a_query_of_unknown_words_finds_nothing(query: str) -> None:
    (retrieval,) = BM25(0.01).retrieve([request(*THREE, "你好", query=query)])
    assert parse_strict(retrieval.text or "") == Fragment()


def test_a_dialogue_without_a_word_finds_nothing() -> None:
    assert BM25(0.01).scores(request("😋", "……", query="猫咪")) == {0: 0.0, 1: 0.0}


def test_it_needs_neither_pictures_nor_gold_and_names_its_settings() -> None:
    retriever = BM25(0.3)
    assert not retriever.uses_images
    assert not retriever.sees_gold
    identity = retriever.identity()
    assert (identity["cutoff"], identity["k1"], identity["b"]) == (0.3, 1.5, 0.75)
    assert identity["bm25s"]


TEXT = st.text(st.sampled_from("猫咪面馆好吃 catdog，"), max_size=12)


@given(st.lists(TEXT, min_size=1, max_size=6), TEXT)
def test_scores_are_shares(turns: list[str], query: str) -> None:
    scores = BM25(0.1).scores(request(*turns, query=query))
    assert list(scores) == list(range(len(turns)))
    assert all(0 <= score < 1 for score in scores.values())
    for utterance, text in enumerate(turns):
        shared = bool(set(words(text)) & set(words(query)))
        assert (scores[utterance] > 0) == shared
