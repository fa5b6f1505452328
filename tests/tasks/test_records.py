"""Official records: read as recorded, and told what does not add up."""

import json
from pathlib import Path
from typing import Any

import pytest
from official import answer, content, line, record

from f2rcli.tasks.records import parse_record, record_of
from f2rcli.tasks.types import Fragment, Image, Query, Request, Utterance

GOLD = Fragment(frozenset({1}), frozenset({0}))
TURNS = ("user1: 你好🐱", "user2: 看 🖼", "user1: 可爱 🖼")


def only(value: dict[str, Any]) -> Request:
    parsed = parse_record(value)
    assert parsed.problems == []
    [request] = parsed.requests
    return request


def test_a_record_is_one_request() -> None:
    request = only(record(*TURNS, query="小猫的照片", gold=answer([1], [0])))
    assert request.query == Query("小猫的照片")
    assert request.gold == GOLD
    assert request.dialogue.id == "对话"
    assert request.dialogue.utterances[1] == Utterance(1, "user2", "看", (0,))
    assert request.dialogue.images == (Image(0, "图片/0.jpg"), Image(1, "图片/1.jpg"))
    assert request.prompt.system is None


def test_the_system_message_is_kept() -> None:
    made = record(*TURNS)
    made["messages"].insert(0, {"role": "system", "content": "你负责检索。"})
    assert only(made).prompt.system == "你负责检索。"


def test_a_system_message_without_text_is_none() -> None:
    made = record(*TURNS)
    made["messages"].insert(0, {"role": "system", "content": None})
    assert only(made).prompt.system is None
    made["messages"][0]["content"] = ["你负责检索。"]
    assert parse_record(made).problems == ["the system message's content is not text"]


def test_a_second_user_message_is_a_problem() -> None:
    made = record(*TURNS)
    made["messages"].append({"role": "user", "content": "还有吗？"})
    assert parse_record(made).problems == ["2 user messages; a record has one"]


@pytest.mark.parametrize(("given", "expected"), [(None, ""), (7, "7"), (0, "0"), ("", "")])
def test_a_dialogues_id_is_text(given: object, expected: str) -> None:
    assert only(record(*TURNS, dialogue_id=given)).dialogue.id == expected


@pytest.mark.parametrize("given", [["对话"], {"id": 1}, True, 1.5])
def test_an_id_of_another_kind_is_a_problem(given: object) -> None:
    made = record(*TURNS, dialogue_id=given)
    assert parse_record(made).problems == ["dialogue_id is neither text nor a number"]


def test_images_may_be_objects_with_a_path() -> None:
    images = [{"bytes": None, "path": "a.jpg"}, "b.jpg"]
    assert [image.path for image in only(record(*TURNS, images=images)).dialogue.images] == [
        "a.jpg",
        "b.jpg",
    ]


def test_a_record_without_pictures_needs_no_images() -> None:
    made = record("user1: 你好")
    del made["images"]
    assert only(made).dialogue.images == ()


@pytest.mark.parametrize("source", ["solution", "assistant", "labels"])
def test_gold_may_stand_in_any_of_three_places(source: str) -> None:
    made = record(*TURNS, gold=None)
    if source == "assistant":
        made["messages"].append({"role": "assistant", "content": answer([1], [0])})
    else:
        made[source] = answer([1], [0])
    assert only(made).gold == GOLD


def test_a_record_without_gold_has_none() -> None:
    assert only(record(*TURNS, gold=None)).gold is None


def test_the_assistants_turn_of_a_prediction_is_never_gold() -> None:
    assert only(line(*TURNS, response=answer([0], [1]), labels=answer([1], [0]))).gold == GOLD
    made = line(*TURNS, response=answer([0], [1]))
    del made["labels"]
    assert only(made).gold is None


def test_golds_that_differ_are_a_problem() -> None:
    made = record(*TURNS, gold=answer([1], [0])) | {"solution": answer([2], [0])}
    problem = "solution and the assistant message give different answers"
    assert parse_record(made).problems == [problem]


@pytest.mark.parametrize(
    "gold", ["", "无", "<|utt_ids_start|>[1]<|utt_ids_end|>", answer([1], [0]).lower()[:-3]]
)
def test_gold_in_another_form_is_a_problem(gold: str) -> None:
    made = record(*TURNS, gold=None) | {"solution": gold}
    assert parse_record(made).problems == ["solution is not an answer in the official form"]


def test_gold_that_the_dialogue_lacks_is_a_warning() -> None:
    parsed = parse_record(record(*TURNS, gold=answer([1, 8, 7], [0, 5])))
    assert parsed.problems == []
    assert parsed.warnings == ["the gold answer has ids that the dialogue lacks: [7, 8, 'image 5']"]


@pytest.mark.parametrize("twice", [answer([1, 1], [0]), answer([1], [0, 0])])
def test_gold_with_an_id_twice_is_a_warning(twice: str) -> None:
    parsed = parse_record(record(*TURNS, gold=None) | {"solution": twice})
    assert (parsed.problems, parsed.warnings) == ([], ["solution has an id twice"])
    assert parsed.requests[0].gold == GOLD


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"images": ["a.jpg"]}, "1 in images but 2 image tags in order in the text"),
        ({"images": ["a.jpg"] * 3}, "3 in images but 2 image tags in order in the text"),
        ({"images": None}, "0 in images but 2 image tags in order in the text"),
        ({"images": ["a.jpg", None]}, "image 1 has no path"),
        ({"images": ["a.jpg", {"bytes": None}]}, "image 1 has no path"),
        ({"images": ["", "b.jpg"]}, "image 0 has no path"),
        ({"messages": []}, "no user message in messages"),
        ({"messages": None}, "no user message in messages"),
        ({"messages": {"role": "user"}}, "no user message in messages"),
        ({"messages": ["user"]}, "no user message in messages"),
        ({"messages": [{"role": "user", "content": None}]}, "the user message's content is not text"),
        (
            {"messages": [{"role": "user", "content": ["你好"]}]},
            "the user message's content is not text",
        ),
    ],
)
def test_what_does_not_add_up_is_a_problem(changed: dict[str, Any], problem: str) -> None:
    assert parse_record(record(*TURNS) | changed).problems == [problem]


def test_images_that_are_no_list_are_a_problem() -> None:
    assert parse_record(record(*TURNS, images="a.jpg")).problems[0] == "images is not a list"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("<|query_start|>小猫<|query_end|>", "no query (<|query_start|>…<|query_end|>)"),
        ("小猫", "the query is empty"),
    ],
)
def test_a_record_needs_a_query(query: str, problem: str) -> None:
    message = content("user1: 你好").replace(query, " ")
    made = record("user1: 你好") | {"messages": [{"role": "user", "content": message}]}
    assert parse_record(made).problems == [problem]


def test_pictures_that_somebody_typed_are_none() -> None:
    typed = "user2: <image> <|img_id_start|>7<|img_id_end|><image> 看"
    parsed = parse_record(record("user1: 看 🖼", typed))
    assert parsed.problems == []
    assert [u.images for u in parsed.requests[0].dialogue.utterances] == [(0,), ()]
    assert parsed.warnings == ["utterance 1: image tag 7 is not the next one (1); read as text"]


def test_a_typed_picture_that_could_be_the_next_is_noticed() -> None:
    made = record("user1: <|img_id_start|>0<|img_id_end|><image> 看", images=[])
    assert parse_record(made).problems == ["0 in images but 1 image tags in order in the text"]


def test_pictures_out_of_order_are_a_problem() -> None:
    message = content("user1: 看 🖼", "user2: 看 🖼").replace("start|>0<|img", "start|>X<|img")
    message = message.replace("start|>1<|img", "start|>0<|img").replace("start|>X<|img", "start|>1<|img")
    made = record("user1: 看 🖼", "user2: 看 🖼") | {"messages": [{"role": "user", "content": message}]}
    assert parse_record(made).problems == ["2 in images but 1 image tags in order in the text"]


def test_a_record_is_written_as_it_was_read(golden: Path) -> None:
    records = json.loads((golden / "sliding/original.json").read_text(encoding="utf-8"))
    assert len(records) == 12
    for made in records:
        assert record_of(only(made)) == made


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, ()), ([], ()), (["zh", "无"], ("zh", "无")), (["a", "b", "a"], ("a", "b"))],
)
def test_shares_are_what_the_record_names(given: object, expected: tuple[str, ...]) -> None:
    assert only(record(*TURNS, shares=given)).shares == expected
    assert only(record(*TURNS)).shares == ()


@pytest.mark.parametrize("given", ["zh", {"zh": 1}, [1], ["zh", ""], [None], 7])
def test_shares_of_another_kind_are_a_problem(given: object) -> None:
    assert parse_record(record(*TURNS, shares=given)).problems == ["shares is not a list of texts"]


def test_shares_are_written_as_they_were_read() -> None:
    made = record(*TURNS, shares=["synthetic", "zh"])
    assert record_of(only(made)) == made


def test_a_record_without_gold_is_written_without() -> None:
    made = record(*TURNS, gold=None)
    assert record_of(only(made)) == made
