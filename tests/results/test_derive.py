"""From answers to predictions.jsonl and scores.json, long dialogues in slices."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import handmade
import pytest
from handmade import Scripted, answer, evaluated, lines, says, scores
from hypothesis import given, settings
from hypothesis import strategies as st

from f2rcli.results.runs import RunFolder
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.predictions import read_predictions
from f2rcli.tasks.scoring import score
from f2rcli.tasks.tags import IMAGE_ID, UTTERANCE_ID
from f2rcli.tasks.types import Failure, Request

GOLD = [2, 3, 100, 120]  # in a chat of 130 turns; 3 and 120 are pictures


@pytest.fixture
def long_chat(tmp_path: Path) -> Path:
    chat = handmade.chat("旅行", turns=130, queries={"湖边的照片": GOLD}, pictures=(3, 70, 120))
    return handmade.write_chats(tmp_path / "长聊天", chat)


def by_slice(*said: str | Failure, **attributes: Any) -> Scripted:
    """One answer a slice, in order."""
    return Scripted(
        lambda request: said[int(request.id.rpartition("_split_")[2])], max_turns=100, **attributes
    )


def derived(task: Path, out: Path, *said: str | Failure) -> tuple[dict[str, Any], dict[str, Any]]:
    """The prediction line and the scores of a run over a task of one request."""
    run = evaluated(by_slice(*said), task, out)
    [line] = lines(run.path / "predictions.jsonl")
    return line, scores(run)


def test_a_dialogue_of_over_100_turns_is_asked_in_slices(long_chat: Path, out: Path) -> None:
    retriever = by_slice(answer(), answer())
    run = evaluated(retriever, long_chat, out)
    turns = [[u.id for u in request.dialogue.utterances] for request in retriever.asked]
    assert turns == [list(range(65)), list(range(65, 130))]
    images = [[(i.id, i.path) for i in request.dialogue.images] for request in retriever.asked]
    assert images == [[(0, "图片/3.png")], [(0, "图片/70.png"), (1, "图片/120.png")]]
    tries = [line["request"] for line in lines(run.path / "answers.jsonl")]
    assert tries == ["旅行:0_split_0", "旅行:0_split_1"]


def test_slices_are_merged_into_the_dialogues_own_ids(long_chat: Path, out: Path) -> None:
    line, result = derived(long_chat, out, answer([2, 3], [0]), answer([100, 120], [1]))
    assert line["response"] == answer(GOLD, [0, 2]) == line["labels"]
    assert line["messages"][-1] == {"role": "assistant", "content": line["response"]}
    assert line["dialogue_id"] == "旅行"
    assert line["images"] == [{"bytes": None, "path": f"图片/{i}.png"} for i in (3, 70, 120)]
    content = next(m["content"] for m in line["messages"] if m["role"] == "user")
    assert list(map(int, UTTERANCE_ID.findall(content))) == list(range(130))
    assert list(map(int, IMAGE_ID.findall(content))) == [0, 1, 2]
    for protocol in ("published", "strict"):
        assert result[protocol]["joint"]["f1"] == 1
        assert result[protocol]["samples"] == 1


def test_a_malformed_slice_finds_nothing_and_the_other_still_counts(long_chat: Path, out: Path) -> None:
    line, result = derived(long_chat, out, answer([2, 3], [0]), "我觉得是 100 和 120")
    assert line["response"] == answer([2, 3], [0])
    strict = result["strict"]
    assert strict["failures"] == {"error": 0, "refused": 0, "truncated": 0, "malformed": 1}
    assert strict["coverage"] == 1
    assert strict["utterance"]["precision"] == 1
    assert strict["utterance"]["recall"] == 0.5
    assert "answered" not in strict


def test_slices_are_read_loosely_only_under_the_published_protocol(long_chat: Path, out: Path) -> None:
    loose = "<|utt_ids_start|>[100\n120]<|utt_ids_end|>;<|img_ids_start|>[1]<|img_ids_end|>"
    line, result = derived(long_chat, out, answer([2, 3], [0]), loose)
    assert line["response"] == line["labels"]
    assert result["published"]["joint"]["f1"] == 1
    assert result["strict"]["utterance"]["recall"] == 0.5


@pytest.mark.parametrize("kind", ["error", "refused"])
def test_a_slice_without_answer_leaves_the_request_unanswered(
    long_chat: Path, out: Path, kind: Any
) -> None:
    line, result = derived(long_chat, out, answer([2, 3], [0]), Failure(kind, "服务器忙"))
    assert line["response"] == ""
    assert line["f2r"]["failures"] == {kind: "服务器忙"}
    for protocol in ("published", "strict"):
        assert result[protocol]["failures"][kind] == 1
        assert result[protocol]["coverage"] == 0
        assert result[protocol]["utterance"]["f1"] == 0
        assert "answered" in result[protocol]


def test_only_the_slice_with_an_error_is_asked_again(long_chat: Path, out: Path) -> None:
    derived(long_chat, out, answer([2, 3], [0]), Failure("error"))
    again = by_slice("not asked", answer([100, 120], [1]))
    run = evaluated(again, long_chat, out)
    assert [request.id for request in again.asked] == ["旅行:0_split_1"]
    assert scores(run)["strict"]["joint"]["f1"] == 1


def test_an_image_id_that_a_slice_lacks_is_a_false_positive_under_strict(
    long_chat: Path, out: Path
) -> None:
    _, result = derived(long_chat, out, answer([2, 3], [0, 1]), answer([100, 120], [1]))
    assert result["strict"]["image"]["precision"] == 2 / 3
    assert result["strict"]["out_of_range_ids"] == 1
    assert result["published"]["image"]["precision"] == 1  # the release drops it while merging


def test_a_cut_off_answer_counts_and_is_counted(chats: Path, out: Path) -> None:
    class Cut(Scripted):
        def retrieve(self, requests: Any) -> Any:
            for retrieval in super().retrieve(requests):
                yield replace(retrieval, failure=Failure("truncated", "512 tokens"), output_tokens=512)

    run = evaluated(Cut(lambda request: answer([2, 3, 4], [0])), chats, out, limit=1)
    assert scores(run)["strict"]["failures"]["truncated"] == 1
    assert scores(run)["strict"]["coverage"] == 1
    [line] = lines(run.path / "predictions.jsonl")
    assert line["response"] == answer([2, 3, 4], [0])
    assert line["f2r"]["output_tokens"] == 512


def test_an_error_is_an_empty_answer_even_if_it_came_with_text(chats: Path, out: Path) -> None:
    class Broken(Scripted):
        def retrieve(self, requests: Any) -> Any:
            for retrieval in super().retrieve(requests):
                yield replace(retrieval, failure=Failure("error", "connection lost"))

    gold = {request.id: request.gold for request in load_task(str(chats)).requests()}
    run = evaluated(Broken(lambda request: answer(gold[request.id].utterances)), chats, out)
    for protocol in ("published", "strict"):
        assert scores(run)[protocol]["utterance"]["recall"] == 0


def test_any_answer_can_be_written(chats: Path, out: Path) -> None:
    odd = '半个字符 \ud800, "quotes", \\, \u2028 and \n a line break'
    run = evaluated(says(odd), chats, out, limit=1)
    [line] = lines(run.path / "predictions.jsonl")
    assert line["response"] == odd


SAID = st.sampled_from(
    [
        answer(),
        answer([2], [0]),
        answer([2, 3, 4, 100], [0, 1]),
        answer([100, 5000], [1, 7]),
        "<think>想</think>" + answer([3]),
        "<|utt_ids_start|>[3, 120]<|utt_ids_end|>",
        "<|utt_ids_start|>3\n120<|utt_ids_end|>;<|img_ids_start|>[0]<|img_ids_end|>",
        "不知道",
        Failure("error", "超时"),
        Failure("refused", "不行"),
    ]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(SAID, min_size=5, max_size=5))
def test_predictions_are_scored_alike_as_the_authors_bare_format(said: list[str | Failure]) -> None:
    """Without our key `f2r` the lines give the same published scores as scores.json has."""
    with TemporaryDirectory() as name:
        run = mixed_run(Path(name), said)
        result = scores(run)["published"]
        bare = Path(name) / "bare.jsonl"
        with bare.open("w", encoding="utf-8") as file:
            for line in lines(run.path / "predictions.jsonl"):
                del line["f2r"]
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        published = score(read_predictions(bare))["published"].result()
        for part in ("utterance", "image", "joint"):
            assert published[part] == pytest.approx(result[part], abs=1e-12)
        assert published["samples"] == result["samples"]
        ours = score(read_predictions(run.path / "predictions.jsonl"))
        assert {protocol: scorer.result() for protocol, scorer in ours.items()} == scores(run)


def mixed_run(folder: Path, said: list[str | Failure]) -> RunFolder:
    """A run over a short chat of three requests and a long one of two slices."""
    long = handmade.chat("旅行", turns=130, queries={"湖边": GOLD}, pictures=(3, 70, 120))
    path = handmade.write_chats(folder, handmade.chat(), long)
    left = iter(said)

    def next_one(request: Request) -> str | Failure:
        return next(left)

    return evaluated(Scripted(next_one, max_turns=100), path, folder / "runs")
