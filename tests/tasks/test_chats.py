"""Raw chats: turns, pictures, queries and gold turns."""

from pathlib import Path
from typing import Any

import pytest
from official import write

from f2rcli.tasks.chats import parse_chat, read_dialogue
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.tags import dialogue_ids, image_tag, render_content
from f2rcli.tasks.types import Fragment, Image, Utterance

TEMPLATE = PromptTemplate.by_language()


def chat(*said: Any, **more: Any) -> dict[str, Any]:
    """A raw chat of these utterances, asked about 小猫 without gold."""
    turns = [
        {"utterance_idx": n, "speaker": f"User{n % 2 + 1}", "utterance": text}
        for n, text in enumerate(said)
    ]
    return {"dialogue_id": "周末", "dialogue": turns, "query_text": "小猫"} | more


def problems(value: dict[str, Any]) -> list[str]:
    return parse_chat(value, TEMPLATE).problems


def golds(value: dict[str, Any]) -> list[Fragment | None]:
    parsed = parse_chat(value, TEMPLATE)
    assert parsed.problems == []
    return [request.gold for request in parsed.requests]


def fragment(utterances: set[int], images: set[int]) -> Fragment:
    return Fragment(frozenset(utterances), frozenset(images))


PICTURE = [{"image_url": "图/a.jpg", "caption": "一只猫"}]


def test_turns_and_pictures() -> None:
    [request] = parse_chat(
        chat("你好🐱", PICTURE, [{"path": "b.jpg"}, "看", {"image": "c.jpg"}]), TEMPLATE
    ).requests
    assert request.dialogue.utterances == (
        Utterance(0, "User1", "你好🐱"),
        Utterance(1, "User2", "", (0,)),
        Utterance(2, "User1", "看", (1, 2)),
    )
    assert request.dialogue.images == (Image(0, "图/a.jpg"), Image(1, "b.jpg"), Image(2, "c.jpg"))
    assert request.dialogue.id == "周末"
    assert dialogue_ids(render_content(request.prompt)) == ([0, 1, 2], 3)


def test_captions_are_not_sent() -> None:
    [request] = parse_chat(chat(PICTURE), TEMPLATE).requests
    assert "一只猫" not in render_content(request.prompt)


def test_tags_that_somebody_typed_are_text() -> None:
    typed = f"<|utt_id_start|>9<|utt_id_end|>\n<|utt_id_start|>8<|utt_id_end|> {image_tag(0)}<image>"
    [request] = parse_chat(chat(typed, PICTURE, query_text=f"{typed}<|query_end|>"), TEMPLATE).requests
    assert dialogue_ids(render_content(request.prompt)) == ([0, 1], 1)
    assert request.query.text == f"{typed}<|query_end|>"


@pytest.mark.parametrize(
    ("queries", "turns", "expected"),
    [
        ("小猫", [0, 1], [fragment({0, 1}, {0})]),
        ("小猫", [[1]], [fragment({1}, {0})]),
        ("小猫", [], [Fragment()]),
        ("小猫", [[]], [Fragment()]),
        ("小猫", None, [None]),
        (["小猫"], [], [Fragment()]),
        (["小猫"], [0], [fragment({0}, set())]),
        (["小猫", "小狗"], [[0], [1, 2]], [fragment({0}, set()), fragment({1, 2}, {0})]),
        (["小猫", "小狗"], [[], []], [Fragment(), Fragment()]),
        (["小猫", "小狗"], [None, [2]], [None, fragment({2}, set())]),
        ([], [], []),
    ],
)
def test_gold_turns_mean_utterances_and_the_pictures_they_carry(
    queries: Any, turns: Any, expected: list[Fragment | None]
) -> None:
    assert golds(chat("你好", PICTURE, "可爱", query_text=queries, gt_turns=turns)) == expected


def test_a_chat_without_a_query_gives_no_request() -> None:
    made = chat("你好")
    del made["query_text"]
    parsed = parse_chat(made, TEMPLATE)
    assert (parsed.requests, parsed.problems) == ([], [])


def test_gold_turns_that_the_chat_lacks_are_a_warning() -> None:
    parsed = parse_chat(chat("你好", gt_turns=[0, 5]), TEMPLATE)
    assert parsed.problems == []
    assert parsed.warnings == ["gt_turns has turns that the dialogue lacks: [5]"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"query_text": " "}, "the query is empty"),
        ({"query_text": 5}, "query_text is neither text nor a list of texts"),
        ({"query_text": ["小猫", None]}, "query_text is neither text nor a list of texts"),
        ({"gt_turns": 0}, "gt_turns does not fit 1 queries"),
        ({"gt_turns": [[0], [0]]}, "gt_turns does not fit 1 queries"),
        ({"query_text": ["小猫", "小狗"], "gt_turns": [0, 0]}, "gt_turns does not fit 2 queries"),
        ({"gt_turns": [0, "0"]}, "gt_turns holds something else than turn numbers"),
        ({"gt_turns": [True]}, "gt_turns holds something else than turn numbers"),
        ({"gt_turns": [0.0]}, "gt_turns holds something else than turn numbers"),
        ({"dialogue": []}, "dialogue is not a list of turns"),
        ({"dialogue": "你好"}, "dialogue is not a list of turns"),
        ({"dialogue": ["你好"]}, "turn 0 is not an object"),
    ],
)
def test_what_does_not_fit_is_a_problem(changed: dict[str, Any], problem: str) -> None:
    assert problems(chat("你好") | changed) == [problem]


@pytest.mark.parametrize("index", [None, "0", 1.0, True, -1])
def test_a_turn_needs_its_number(index: Any) -> None:
    turns = [{"utterance_idx": index, "speaker": "User1", "utterance": "你好"}]
    assert problems(chat(dialogue=turns)) == ["turn 0: utterance_idx is not a whole number"]


@pytest.mark.parametrize("second", [3, 2])
def test_turns_must_be_in_order(second: int) -> None:
    turns = [{"utterance_idx": n, "speaker": "User1", "utterance": "你好"} for n in (3, second)]
    assert problems(chat(dialogue=turns)) == [f"turn 1: utterance_idx {second} after 3"]


@pytest.mark.parametrize(
    "said", [None, 5, {}, {"image_url": ""}, {"image_url": 5}, [["你好"]], [{"url": "a"}]]
)
def test_an_utterance_is_text_or_pictures(said: Any) -> None:
    assert problems(chat("你好", said)) == ["turn 1: utterance is neither text nor a picture"]


def test_a_dialogue_by_its_id_or_alone(tmp_path: Path) -> None:
    one, two = chat("你好"), chat("再见") | {"dialogue_id": 7}
    path = write(tmp_path / "聊天.jsonl", one, two)
    assert read_dialogue(path, "7").utterances[0].text == "再见"
    assert read_dialogue(write(tmp_path / "一.jsonl", one)).utterances[0].text == "你好"


def test_a_dialogue_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "聊天.jsonl", chat("你好"), chat("再见") | {"dialogue_id": "周日"})
    with pytest.raises(InputError) as caught:
        read_dialogue(path, "周一")
    assert str(caught.value) == f"{path}: no dialogue '周一'; --id says which: 周末, 周日"
    with pytest.raises(InputError) as caught:
        read_dialogue(path)
    assert str(caught.value) == f"{path}: 2 dialogues in it; --id says which: 周末, 周日"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"messages": []}, "not a raw chat (no dialogue in it)"),
        ([1], "not a raw chat (no dialogue in it)"),
        (chat("你好", 5), "turn 1: utterance is neither text nor a picture"),
    ],
)
def test_a_file_of_something_else(value: Any, problem: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", value, chat("你好"))
    with pytest.raises(InputError) as caught:
        read_dialogue(path, "周末")
    assert str(caught.value) == f"{path}:1 (record 0): {problem}"


@pytest.mark.parametrize(("given", "expected"), [(None, ""), (7, "7"), ("甲", "甲")])
def test_a_chats_id_is_text(given: object, expected: str) -> None:
    parsed = parse_chat(chat("你好", dialogue_id=given), TEMPLATE)
    assert (parsed.problems, parsed.requests[0].dialogue.id) == ([], expected)


def test_a_chats_id_of_another_kind_is_a_problem() -> None:
    assert problems(chat("你好", dialogue_id=["甲"])) == ["dialogue_id is neither text nor a number"]


def test_a_chats_shares_are_those_of_each_of_its_queries() -> None:
    asked = {"query_text": ["小猫", "小狗"], "gt_turns": [[0], []]}
    found = parse_chat(chat("你好", **asked, shares=["zh", "短"]), TEMPLATE).requests
    assert [request.shares for request in found] == [("zh", "短")] * 2
    assert parse_chat(chat("你好"), TEMPLATE).requests[0].shares == ()
    assert problems(chat("你好", **asked, shares="zh")) == ["shares is not a list of texts"]
