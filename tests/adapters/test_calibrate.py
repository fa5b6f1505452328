"""Choosing a cut-off: known best values on a made dialogue, and what is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from short_chats import fragment, picture, request
from small_sets import REQUESTS

from f2rcli.adapters.calibrate import calibrated_row, choose_cutoff, write_row
from f2rcli.adapters.registry import Settings, build, find_row, load_rows
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.datasets import Task, load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.mini.cache import make
from f2rcli.tasks.types import Request


def made(tmp_path: Path, gold: list[int], images: list[int]) -> Request:
    """Utterances 0 and 1 hold 0.0852 and 0.1429 of the query (worked out in test_lexical.py)."""
    a, b = picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2)
    turns = (("cat cat", [a]), ("the cat and dog", [b]), "we eat noodles")
    return request(*turns, query="cat dog bird", gold=fragment(gold, images))


@pytest.mark.parametrize(
    ("gold", "images", "cutoff", "f1"),
    [
        ([1], [1], 0.14, 1.0),  # 0.0852 < cut-off ≤ 0.1429 is right; of 0.09 … 0.14 the highest
        ([0, 1], [0, 1], 0.08, 1.0),  # cut-off ≤ 0.0852 keeps both
        ([0], [0], 0.08, 2 / 3),  # 0 never comes without 1: P = 1/2, R = 1 in both modalities
        ([2], [], 0.99, 0.0),  # nothing to win: of equals the highest, which predicts least
    ],
)
def test_the_best_cutoff_is_found(
    tmp_path: Path, gold: list[int], images: list[int], cutoff: float, f1: float
) -> None:
    chosen = choose_cutoff([made(tmp_path, gold, images)])
    assert chosen.value == cutoff
    assert chosen.f1 == pytest.approx(f1)
    assert chosen.requests == 1


def test_requests_are_summed_before_the_f1(tmp_path: Path) -> None:
    requests = [made(tmp_path, [1], [1]), made(tmp_path, [0, 1], [0, 1]), made(tmp_path, [1], [1])]
    # Low cut-off: TP 4, FP 2, FN 0, F1 = 8/10. High: TP 3, FP 0, FN 1, F1 = 6/7, the better one.
    chosen = choose_cutoff(iter(requests))
    assert (chosen.value, chosen.requests) == (0.14, 3)
    assert chosen.f1 == pytest.approx(6 / 7)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """A file with two dialogues of the raw chat format, one of them Chinese."""
    file = tmp_path / "聊天.json"
    dialogues: list[dict[str, Any]] = []
    for turns, query, gold in (
        (["cat cat", "the cat and dog", "we eat noodles"], "cat dog bird", [1]),
        (["那家面馆在哪儿", "走五分钟", "好的"], "面馆", [0]),
    ):
        said = [{"utterance_idx": i, "speaker": "A", "utterance": t} for i, t in enumerate(turns)]
        dialogues.append({"dialogue_id": query, "dialogue": said, "query_text": query, "gt_turns": gold})
    file.write_text(json.dumps(dialogues, ensure_ascii=False), encoding="utf-8")
    return file


def test_the_written_row_is_a_registry_row(chats: Path, tmp_path: Path) -> None:
    task = load_task(str(chats))
    made = calibrated_row(load_rows()["bm25"], task, "bm25 聊天")
    file = tmp_path / "rows.toml"
    write_row(file, made.row)
    loaded = find_row("bm25 聊天", load_rows(file))
    assert loaded.kind == "bm25"
    assert {"cutoff": loaded.settings["cutoff"]} == made.chosen
    assert made.requests == 2
    origin = loaded.settings["chosen_on"]
    assert "聊天.json" in origin
    assert "2 requests" in origin
    assert hashlib.sha256(chats.read_bytes()).hexdigest() in origin
    (english, chinese) = build(loaded, Settings()).retrieve(list(task.requests()))
    assert parse_strict(english.text or "") == fragment([1])
    assert parse_strict(chinese.text or "") == fragment([0])


def test_nothing_is_chosen_on_test_data(chats: Path) -> None:
    with pytest.raises(InputError, match="wechat is for testing only"):
        calibrated_row(load_rows()["bm25"], load_task(f"wechat={chats}"), "mine")


def test_nothing_is_chosen_on_mini_wechat_nor_on_a_sibling(small_mini: Path, tmp_path: Path) -> None:
    sibling = tmp_path / "姊妹"
    make("mini-wechat", 7, sibling)
    for spec in ("mini-wechat", str(sibling / "mini-wechat.jsonl")):
        with pytest.raises(InputError) as caught:
            calibrated_row(load_rows()["bm25"], load_task(spec), "mine")
        assert str(caught.value) == (
            "mini-wechat is for testing only; choose on training or validation data"
        )


def test_a_cutoff_may_be_chosen_on_the_mini_sets_that_are_not_for_testing(small_mini: Path) -> None:
    for spec in ("mini-mldr", "mini-mldr-train"):
        made = calibrated_row(load_rows()["bm25"], load_task(spec), "mine")
        assert made.requests == REQUESTS
        assert f"{spec}.jsonl, {REQUESTS} requests, SHA-256" in made.row


def test_of_a_subsample_the_row_says_of_how_many(small_mini: Path) -> None:
    made = calibrated_row(load_rows()["bm25"], load_task("mini-mldr"), "mine", limit=5)
    assert made.requests == 5
    assert f"mini-mldr.jsonl, 5 requests of {REQUESTS} (seed 0), SHA-256" in made.row


@pytest.mark.parametrize("name", ["random", "oracle", "qwen2-vl"])
def test_a_model_without_a_cutoff_is_refused(name: str) -> None:
    example: Task = load_task("example")
    with pytest.raises(InputError, match=f"{name} has no cut-off"):
        calibrated_row(load_rows()[name], example, "mine")


@pytest.mark.parametrize("name", ["bm25", "oracle"])
def test_a_name_that_is_taken_is_refused(chats: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"the name {name} is taken; give another --name"):
        calibrated_row(load_rows()["bm25"], load_task(str(chats)), name)


@pytest.mark.parametrize("name", ["", "a\nb", "hf:x", "a:b", "x.py:Y"])
def test_a_name_that_could_not_be_asked_for_is_refused(chats: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"--name: {name!r} is not a name".replace("\\", r"\\")):
        calibrated_row(load_rows()["bm25"], load_task(str(chats)), name)


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "rows.toml"
    file.write_text("# 我的\n", encoding="utf-8")
    with pytest.raises(InputError, match="is there already") as caught:
        write_row(file, "[new]\n")
    assert caught.value.where == str(file)
    assert file.read_text(encoding="utf-8") == "# 我的\n"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written") as caught:
        write_row(tmp_path / "没有" / "rows.toml", "[new]\n")
    assert str(tmp_path) in str(caught.value)
