"""Merging slice predictions: the published figures, and slices that do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from handmade import chat, write_chats
from official import PICTURE, answer, content, line, record, write

from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.merging import is_slice, merge_predictions
from f2rcli.tasks.predictions import parse_prediction, read_predictions
from f2rcli.tasks.records import record_of
from f2rcli.tasks.scoring import score
from f2rcli.tasks.slicing import slice_request

TURNS = ("user1: 你好", f"user2: 看 {PICTURE}", "user1: 可爱", f"user2: 是 {PICTURE}")
GOLD = answer([1, 3], [1])
ORIGINAL = record(*TURNS, gold=GOLD, images=["猫.jpg", "猫.jpg"])  # one picture, sent twice
NAMES = {"utterance": "sentence_metrics", "image": "image_metrics", "joint": "joint_metrics"}


def half(
    k: int, response: str, *, name: str = "对话", query: str = "小猫", **more: Any
) -> dict[str, Any]:
    """The prediction for turns 0 and 1, or for turns 2 and 3."""
    message = content(*TURNS[2 * k : 2 * k + 2], start=2 * k, query=query)
    made = line(*TURNS[2 * k : 2 * k + 2], response=response, labels=GOLD)
    made["messages"][0]["content"] = message
    return made | {"dialogue_id": f"{name}_split_{k}", "images": ["猫.jpg"]} | more


def merged(
    tmp_path: Path, *halves: Any, originals: tuple[dict[str, Any], ...] = (ORIGINAL,)
) -> list[Any]:
    slices = write(tmp_path / "片.jsonl", *halves)
    task = load_task(str(write(tmp_path / "原.jsonl", *originals)))
    return list(merge_predictions(slices, task))


def refusal(tmp_path: Path, *halves: Any) -> str:
    with pytest.raises(InputError) as caught:
        merged(tmp_path, *halves)
    return str(caught.value).removeprefix(str(tmp_path))


def test_the_published_merge_and_its_scores(golden: Path, tmp_path: Path) -> None:
    folder = golden / "sliding"
    theirs = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    task = load_task(str(folder / "original.json"))
    lines = list(merge_predictions(folder / "slice_predictions.jsonl", task))
    assert {made["dialogue_id"]: made["response"] for made in lines} == theirs["merged_responses"]
    predictions = read_predictions(write(tmp_path / "merged.jsonl", *lines))
    found = score(predictions)["published"].result("micro")
    for name, key in NAMES.items():
        ours = {f"global_{metric}": round(value, 4) for metric, value in found[name].items()}
        assert ours == theirs["micro_after_merge"][key]
    assert found["samples"] == theirs["micro_after_merge"]["num_samples"]


def test_slices_by_hand_in_any_order(tmp_path: Path) -> None:
    [made] = merged(tmp_path, half(1, answer([2], [0])), half(0, answer([1], [0, 5])))
    assert made["response"] == answer([1, 2], [0, 1])
    assert made["labels"] == GOLD
    assert made["images"] == [{"bytes": None, "path": "猫.jpg"}] * 2
    assert made["f2r"]["slices"] == [
        {"response": answer([1], [0, 5]), "images": [0]},
        {"response": answer([2], [0]), "images": [1]},
    ]


def test_two_queries_of_one_dialogue_are_kept_apart(tmp_path: Path) -> None:
    other = record(*TURNS, query="小狗", images=["猫.jpg", "猫.jpg"])
    halves = [half(k, answer([id]), query=q) for q, id in (("小猫", 1), ("小狗", 2)) for k in (0, 1)]
    lines = merged(tmp_path, *halves, originals=(other, ORIGINAL))
    assert [made["response"] for made in lines] == [answer([2]), answer([1])]


def test_our_own_slices_merge_to_a_perfect_file(golden: Path, tmp_path: Path) -> None:
    task = load_task(str(golden / "sliding/original.json"))
    slices = [record_of(part.request) for asked in task.requests() for part in slice_request(asked, 30)]
    lines = [{"response": made["solution"], "labels": made["solution"]} | made for made in slices]
    for made in merge_predictions(write(tmp_path / "a.jsonl", *lines), task):
        assert made["response"] == made["labels"]


def test_a_file_of_long_and_short_dialogues_merges_too(tmp_path: Path) -> None:
    short = record("user1: 你好", gold=answer([0]), dialogue_id="短")
    path = write(tmp_path / "原.jsonl", record(*TURNS, gold=GOLD), short)
    task = load_task(str(path))
    slices = [record_of(part.request) for asked in task.requests() for part in slice_request(asked, 2)]
    lines = [{"response": made["solution"], "labels": made["solution"]} | made for made in slices]
    merged = list(merge_predictions(write(tmp_path / "a.jsonl", *lines), task))
    assert [made["response"] for made in merged] == [GOLD, answer([0])]


def test_a_dialogue_as_a_whole_and_in_slices(tmp_path: Path) -> None:
    whole = half(0, "") | {"dialogue_id": "对话"}
    problem = "对话 is there more than once as a whole, or also in slices"
    assert refusal(tmp_path, half(0, ""), whole) == f"/片.jsonl: {problem}"


def test_a_slice_that_was_answered_twice(tmp_path: Path) -> None:
    problem = "a slice of 对话 is there twice"
    assert refusal(tmp_path, half(0, ""), half(1, ""), half(0, "")) == f"/片.jsonl: {problem}"


def test_what_failed_in_a_slice_failed(tmp_path: Path) -> None:
    failed = half(1, "") | {"f2r": {"failures": {"error": "out of memory"}}}
    [made] = merged(tmp_path, half(0, answer([1])), failed)
    assert made["response"] == ""
    assert parse_prediction(made, "0").failures == ("error",)


def test_a_line_without_an_answer(tmp_path: Path) -> None:
    made = half(1, "") | {"response": None}
    problem = "response is null; response must hold the model's answer; a failed call is an empty string"
    assert refusal(tmp_path, half(0, ""), made) == f"/片.jsonl:2 (record 1): {problem}"


def test_a_slice_that_is_lacking(tmp_path: Path) -> None:
    problem = "no slice prediction covers 2 utterances of 对话 (2 to 3)"
    assert refusal(tmp_path, half(0, "")) == f"/片.jsonl: {problem}"


def test_slices_of_another_dialogue(tmp_path: Path) -> None:
    problem = f"1 predictions belong to nothing in {tmp_path}/原.jsonl, such as 别的_split_0"
    found = refusal(tmp_path, half(0, ""), half(1, ""), half(0, "", name="别的"))
    assert found == f"/片.jsonl: {problem}"


def test_slices_with_other_pictures(tmp_path: Path) -> None:
    problem = "对话_split_1: image 0 is not the original's (狗.jpg)"
    assert refusal(tmp_path, half(0, ""), half(1, "", images=["狗.jpg"])) == f"/片.jsonl: {problem}"
    bare = half(1, "", images=[])
    bare["messages"][0]["content"] = content("user1: 可爱", "user2: 是", start=2)
    problem = "对话_split_1: utterance 3 carries other images than before"
    assert refusal(tmp_path, half(0, ""), bare) == f"/片.jsonl: {problem}"


@pytest.mark.parametrize("images", [[], ["猫.jpg", "狗.jpg"]], ids=["too few", "too many"])
def test_a_slice_whose_images_are_not_its_tags(images: list[str], tmp_path: Path) -> None:
    made = half(1, answer([3], [0]), images=images)
    slices = write(tmp_path / "片.jsonl", half(0, ""), made)
    task = load_task(str(write(tmp_path / "原.jsonl", ORIGINAL)))
    with pytest.raises(InputError, match=r"^.*片.jsonl:2 \(record 1\): . in images but 1 image tags"):
        list(merge_predictions(slices, task))


def test_an_endless_slice_number_is_no_crash(tmp_path: Path) -> None:
    made = half(0, "") | {"dialogue_id": f"对话_split_{'9' * 5000}"}
    assert "no slice prediction covers" in refusal(tmp_path, made)


def test_two_dialogues_of_one_id_are_kept_apart(tmp_path: Path) -> None:
    others = ["user1: 早", "user2: 嗯", "user1: 走", "user2: 好"]
    original = record(*others, gold=answer([0]))
    first = line(*others[:2], response=answer([0]), dialogue_id="对话_split_0")
    second = line(*others[2:], dialogue_id="对话_split_1")
    second["messages"][0]["content"] = content(*others[2:], start=2)
    lines = merged(
        tmp_path,
        half(0, answer([1])),
        half(1, answer([3])),
        first,
        second,
        originals=(ORIGINAL, original),
    )
    assert [made["response"] for made in lines] == [answer([1, 3]), answer([0])]


def test_slices_are_read_from_an_array_too(golden: Path, tmp_path: Path) -> None:
    entries = [entry.value for entry in read_values(golden / "sliding/slice_predictions.jsonl")]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    task = load_task(str(golden / "sliding/original.json"))
    assert len(list(merge_predictions(path, task))) == 12


@pytest.mark.parametrize(
    ("name", "expected"),
    [("对话_split_0", True), ("a_split_1_split_12", True), ("对话", False), ("a_split_x", False)],
)
def test_a_slice_is_known_by_its_name(name: str, expected: bool) -> None:
    assert is_slice(name) == expected


SAID = [
    "第一行\n第二行",
    "两个  空格",
    "打了 <|utt_id_start|>9<|utt_id_end|> 和 <image>",
    " 前后有空\t",
    "a: b",
]


@pytest.mark.parametrize(
    "speaker", ["小林", "user 1", "小\n林", "", "老板: 小林", "老板：小林", "小<林", "<|utt_id_start|>9"]
)
def test_whatever_a_raw_chat_says_its_slices_merge_to_the_gold(speaker: str, tmp_path: Path) -> None:
    written = chat(turns=9, queries={"小猫": [1, 4, 7]}, pictures=(3, 7))
    for number, turn in enumerate(written["dialogue"]):
        turn["speaker"] = speaker
        if isinstance(turn["utterance"], str):
            turn["utterance"] = SAID[number % len(SAID)]
    task = load_task(str(write_chats(tmp_path / "原", written)))
    slices = [record_of(part.request) for asked in task.requests() for part in slice_request(asked, 2)]
    assert len(slices) == 5
    answered = [{"response": made["solution"], "labels": made["solution"]} | made for made in slices]
    [made] = merge_predictions(write(tmp_path / "片.jsonl", *answered), task)
    assert made["response"] == made["labels"] == answer([1, 4, 7], [1])
