"""Prediction files: what scoring reads from a line, and the lines that we write."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from official import EMPTY, answer, line, record, write

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.predictions import Answer, parse_prediction, prediction_line, read_predictions
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.types import Dialogue, Fragment, Query, Request, Utterance

TURNS = ("user1: 你好🐱", "user2: 看 🖼", "user1: 可爱")


def fragment(utterances: Collection[int] = (), images: Collection[int] = ()) -> Fragment:
    return Fragment(frozenset(utterances), frozenset(images))


def parse(value: Any) -> Any:
    return parse_prediction(value, "7")


def test_a_line() -> None:
    found = parse(line(*TURNS, response=answer([0]), labels=answer([1], [0])))
    assert found.response == answer([0])
    assert found.gold == fragment({1}, {0})
    assert found.universe == fragment({0, 1, 2}, {0})
    assert (found.largest_utterance, found.largest_image) == (2, 0)
    assert found.answers == (Answer(answer([0])),)
    assert (found.id, found.failures) == ("对话", ())


def test_gold_is_never_read_from_the_assistants_turn() -> None:
    made = line(*TURNS, response=answer([0]), labels=answer([1]))
    assert made["messages"][-1] == {"role": "assistant", "content": answer([0])}
    assert parse(made).gold == fragment({1})
    made["messages"][-1]["content"] = answer([2])
    made["solution"] = answer([2])
    assert parse(made).gold == fragment({1})


def test_images_are_not_needed_for_scoring() -> None:
    made = line(*TURNS)
    del made["images"]
    assert parse(made).universe.images == {0}


def test_what_is_typed_counts_for_the_published_universe_only() -> None:
    typed = "user2: <|utt_id_start|>40<|utt_id_end|> <|img_id_start|>9<|img_id_end|><image>"
    found = parse(line(TURNS[0], typed))
    assert (found.largest_utterance, found.largest_image) == (40, 9)
    assert found.universe == fragment({0, 1})


def test_a_dialogue_without_pictures_has_no_largest_image() -> None:
    found = parse(line("user1: 你好"))
    assert (found.largest_image, found.universe.images) == (None, frozenset())


NO_ANSWER = (
    "labels is not an answer in the official form; "
    "such as <|utt_ids_start|>[3, 4]<|utt_ids_end|>;<|img_ids_start|>[]<|img_ids_end|>"
)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "对话"),
        ({"dialogue_id": ""}, "7"),
        ({"dialogue_id": 12}, "12"),
        ({"f2r": {"request": "对话:3"}}, "对话:3"),
        ({"f2r": None}, "对话"),
    ],
)
def test_the_id_is_ours_or_the_dialogues_or_the_lines(changed: dict[str, Any], expected: str) -> None:
    assert parse(line(*TURNS) | changed).id == expected


@pytest.mark.parametrize("key", ["labels", "response"])
@pytest.mark.parametrize(("value", "found"), [(None, "null"), (5, "not text"), (["a"], "not text")])
def test_response_and_labels_must_be_text(key: str, value: Any, found: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(line(*TURNS) | {key: value})
    assert str(caught.value).startswith(f"{key} is {found}; {key} must hold the ")


@pytest.mark.parametrize(
    ("key", "meaning"),
    [
        ("response", "the model's answer; a failed call is an empty string"),
        ("labels", "the gold answer"),
    ],
)
def test_response_and_labels_must_be_there(key: str, meaning: str, tmp_path: Path) -> None:
    made = line(*TURNS)
    del made[key]
    path = write(tmp_path / "预测.jsonl", line(*TURNS), line(*TURNS), made)
    with pytest.raises(InputError) as caught:
        list(read_predictions(path))
    assert str(caught.value) == f"{path}:3 (record 2): {key} is missing; {key} must hold {meaning}"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "not a JSON object; a prediction is an object with response, labels"),
        (line(*TURNS, labels="无"), NO_ANSWER),
        (line(*TURNS, labels=""), NO_ANSWER),
        (line(*TURNS, messages=[]), "no user message in messages"),
        (line(*TURNS, f2r={"slices": 3}), "f2r.slices is not what f2r writes"),
        (line(*TURNS, f2r={"slices": [{"response": ""}]}), "f2r.slices is not what f2r writes"),
        (line(*TURNS, f2r={"failures": ["error"]}), "f2r.failures is not what f2r writes"),
        (line(*TURNS, f2r={"failures": {"bored": ""}}), "f2r.failures is not what f2r writes"),
        (line(*TURNS, f2r={"shares": "zh"}), "f2r.shares is not what f2r writes"),
        (line(*TURNS, f2r={"shares": ["zh", 1]}), "f2r.shares is not what f2r writes"),
    ],
)
def test_an_unusable_line_is_named(value: Any, problem: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line(*TURNS), value)
    read = read_predictions(path)
    assert next(read).gold == Fragment()
    with pytest.raises(InputError) as caught:
        next(read)
    assert str(caught.value) == f"{path}:2 (record 1): {problem}"


@pytest.mark.parametrize("text", ["[]", "[ ]\n"])
def test_a_file_without_predictions(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(read_predictions(path))
    assert str(caught.value) == f"{path}: no predictions in it"


@pytest.mark.parametrize("tag", ["utt_id", "img_id"])
def test_an_endless_id_typed_in_a_chat_is_no_crash(tag: str) -> None:
    typed = f"user1: 看 <|{tag}_start|>{'9' * 5000}<|{tag}_end|>"
    assert parse(line(typed, response=EMPTY)).universe == fragment({0})


def test_slices_and_failures_of_ours() -> None:
    slices = [{"response": "一", "images": []}, {"response": None, "images": [0]}]
    found = parse(line(*TURNS, f2r={"slices": slices, "failures": {"error": "x", "malformed": "y"}}))
    assert found.answers == (Answer("一", (), 1), Answer("", (0,), 1))
    assert found.failures == ("error",)  # whether it is malformed is for the protocol to say


@pytest.mark.parametrize(
    ("images", "inside", "outside"),
    [(None, {0, 9}, {0, 9}), ((4, 2), {0, 1}, {4, 2}), ((4, 2), {2, 5}, {12, 15}), ((), {0}, {10})],
)
def test_a_slices_images_become_the_dialogues(
    images: tuple[int, ...] | None, inside: set[int], outside: set[int]
) -> None:
    assert Answer("", images, 10).to_dialogue(fragment({3}, inside)) == fragment({3}, outside)


def request(template: PromptTemplate, gold: Fragment | None = None) -> Request:
    dialogue = Dialogue("周末", (Utterance(0, "小林", "你好"), Utterance(1, "阿梅", "嗯")))
    return Request("周末:0", dialogue, Query("小猫"), template.render("小猫", dialogue), gold)


def test_what_we_write_is_read_back(tmp_path: Path) -> None:
    made = record(*TURNS, gold=answer([1], [0]))
    made["messages"].insert(0, {"role": "system", "content": "系统"})
    [asked] = parse_record(made).requests
    written = prediction_line(asked, answer([2]), {"failures": {"truncated": "cap"}})
    assert written["messages"][:2] == made["messages"][:2]
    assert written["messages"][2] == {"role": "assistant", "content": answer([2])}
    assert written["labels"] == answer([1], [0])
    assert written["images"] == [{"bytes": None, "path": "图片/0.jpg"}]
    assert written["f2r"]["query"] == "小猫"
    [found] = read_predictions(write(tmp_path / "p.jsonl", written))
    assert found == parse(
        line(*TURNS, response=answer([2]), labels=answer([1], [0])) | {"f2r": written["f2r"]}
    )
    assert found.failures == ("truncated",)


def test_shares_are_written_and_read_back() -> None:
    [asked] = parse_record(record(*TURNS, shares=["zh", "no-overlap"])).requests
    written = prediction_line(asked, EMPTY, {})
    assert written["f2r"]["shares"] == ["zh", "no-overlap"]
    assert parse(written).shares == ("zh", "no-overlap")
    [plain] = parse_record(record(*TURNS)).requests
    assert "shares" not in prediction_line(plain, EMPTY, {})["f2r"]


@pytest.mark.parametrize("ours", [{}, {"shares": []}, {"shares": None}, None])
def test_a_line_may_name_no_shares(ours: Any) -> None:
    assert parse(line(*TURNS, f2r=ours)).shares == ()


def test_a_share_that_is_named_twice_counts_once() -> None:
    assert parse(line(*TURNS, f2r={"shares": ["zh", "en", "zh"]})).shares == ("zh", "en")


def test_a_line_needs_gold() -> None:
    with pytest.raises(ValueError, match="request 周末:0 has no gold"):
        prediction_line(request(PromptTemplate.load("zh")), "", {})


@pytest.mark.parametrize(
    "user",
    [
        "<|query_start|>{query}<|query_end|>\n{dialogue}",
        "{query}\n{dialogue}",
        "{dialogue}\n找 {query}",
        "{dialogue}\n找 <|query_start|>{query}<|query_end|>",
    ],
)
def test_the_dialogues_ids_are_found_with_any_prompt(user: str) -> None:
    asked = request(PromptTemplate({"": user}), fragment({1}))
    assert parse(prediction_line(asked, answer([1]), {})).universe == fragment({0, 1})


def test_every_published_file_is_read_to_its_end(golden: Path) -> None:
    for path in sorted((golden / "metrics").glob("predictions_*.jsonl")):
        lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
        found = list(read_predictions(path))
        assert [p.response for p in found] == [made["response"] for made in lines]
