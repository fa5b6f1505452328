"""Which of the three formats a record has."""

from typing import Any

import pytest
from official import PICTURE, answer, line, record

from f2rcli.tasks.formats import parse
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.tags import render_content

CHAT = {
    "dialogue_id": "周末",
    "dialogue": [{"utterance_idx": 0, "speaker": "User1", "utterance": "你好"}],
    "query_text": ["小猫", "the dog"],
    "gt_turns": [[0], []],
}


def test_an_official_record_is_asked_as_recorded() -> None:
    made = record("user1: 你好")
    [request] = parse(made).requests
    assert render_content(request.prompt) == made["messages"][0]["content"]


def test_a_prediction_is_a_record_with_its_gold_in_labels() -> None:
    [request] = parse(line("user1: 你好", response=answer([5]), labels=answer([0]))).requests
    assert request.gold is not None
    assert request.gold.utterances == {0}


def test_a_raw_chat_is_asked_in_the_language_of_its_query() -> None:
    chinese, english = parse(CHAT).requests
    assert chinese.prompt.head.startswith("下面是一段")
    assert english.prompt.head.startswith("Below is a chat")


@pytest.mark.parametrize("value", [CHAT, record("user1: 你好", query="小猫")])
def test_a_template_takes_the_place_of_the_prompt(value: dict[str, Any]) -> None:
    request = parse(value, PromptTemplate({"": "问：{query}\n{dialogue}"}, "系统")).requests[0]
    assert request.prompt.head == "问：小猫\n"
    assert request.prompt.system == "系统"
    assert request.gold is not None


@pytest.mark.parametrize("value", [None, 5, "你好", [], [CHAT]])
def test_a_record_is_an_object(value: Any) -> None:
    assert parse(value).problems == ["not a JSON object"]


def test_an_object_of_another_kind_is_a_problem() -> None:
    problem = "neither messages (official record) nor dialogue (raw chat)"
    assert parse({"response": "", "labels": ""}).problems == [problem]


@pytest.mark.parametrize(
    "value",
    [
        record("user1: \ud83d"),
        record("user1: 你好", query="\udc31"),
        CHAT | {"query_text": "\ud800", "gt_turns": []},
        CHAT | {"dialogue": [{"utterance_idx": 0, "speaker": "\ud800", "utterance": "你好"}]},
    ],
    ids=["text", "query", "raw query", "speaker"],
)
def test_half_a_character_is_a_problem(value: dict[str, Any]) -> None:
    assert parse(value).problems == ["text with half a character (a lone surrogate escape)"]


SYSTEM = record("user1: 你好")
SYSTEM["messages"].insert(0, {"role": "system", "content": "\ud800"})


@pytest.mark.parametrize(
    "value",
    [
        SYSTEM,
        record("user1: 你好", dialogue_id="\ud800"),
        record(f"user1: {PICTURE}", images=["\ud800.jpg"]),
        CHAT | {"dialogue_id": "\ud800"},
    ],
    ids=["system", "id", "image", "raw id"],
)
def test_half_a_character_is_a_problem_anywhere(value: dict[str, Any]) -> None:
    assert parse(value).problems == ["text with half a character (a lone surrogate escape)"]
