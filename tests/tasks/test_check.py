"""`f2r data check`: every problem of a file, each with its place, and nothing else."""

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from official import PICTURE, answer, line, record, write

from f2rcli.tasks.check import Checker, Finding
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.parsed import NO_QUERY

SOUND = record("user1: 你好🐱", f"user2: 看 {PICTURE}", gold=answer([1], [0]))
CHAT: dict[str, Any] = {
    "dialogue_id": "周末",
    "dialogue": [{"utterance_idx": 0, "speaker": "User1", "utterance": "你好"}],
    "query_text": "小猫",
    "gt_turns": [0],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the picture of SOUND."""
    (tmp_path / "图片").mkdir()
    PIL.Image.new("RGB", (4, 4)).save(tmp_path / "图片/0.jpg")
    return tmp_path


def findings(folder: Path, *values: Any, images: Path | None = None) -> list[str]:
    """What is said about these records, without the file's name."""
    path = write(folder / "数据.jsonl", *values)
    checker = Checker(path, ImageFolder((images or folder,)))
    return [str(finding).removeprefix(str(path)) for finding in checker.findings()]


def test_a_sound_file_has_no_findings(folder: Path) -> None:
    path = write(folder / "a.jsonl", SOUND, CHAT, line("user1: 你好"))
    checker = Checker(path, ImageFolder((folder,)))
    assert list(checker.findings()) == []
    assert (checker.records, checker.requests) == (3, 3)


def test_the_shipped_example_is_sound() -> None:
    task = load_task("example")
    checker = Checker(task.path, task.images)
    assert list(checker.findings()) == []
    assert checker.requests > checker.records > 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1], "not a JSON object"),
        ({"a": 1}, "neither messages (official record) nor dialogue (raw chat)"),
        (
            CHAT | {"query_text": []} | {"gt_turns": []},
            NO_QUERY,
        ),
        (record("user1: 你好", gold=None), "no gold answer, so nothing can be scored"),
        (
            record("user1: 你好", images=["图片/0.jpg"]),
            "1 in images but 0 image tags in order in the text",
        ),
        (record("user1: \ud83d"), "text with half a character (a lone surrogate escape)"),
        (line("user1: 你好", response=None), "response is null"),
        (line("user1: 你好", labels="无"), "labels is not an answer in the official form"),
    ],
)
def test_what_makes_a_record_unusable(value: Any, said: str, folder: Path) -> None:
    path = folder / "a.json"
    path.write_text(json.dumps([SOUND, value]), encoding="utf-8")
    found = list(Checker(path, ImageFolder((folder,))).findings())
    assert Finding(f"{path}:1 (record 1)", said, fatal=True) in found
    assert all(finding.where == f"{path}:1 (record 1)" for finding in found)


def test_what_is_odd_is_a_warning(folder: Path) -> None:
    found = findings(folder, CHAT | {"gt_turns": [0, 7]}, record("没有冒号"))
    assert found == [
        ":1 (record 0): warning: gt_turns has turns that the dialogue lacks: [7]",
        ":2 (record 1): warning: utterance 0: no speaker before a colon",
    ]


def test_the_same_twice_is_a_warning(folder: Path) -> None:
    again = SOUND | {"dialogue_id": "另一个名字"}
    other = record("user1: 你好🐱", f"user2: 看 {PICTURE}", gold=answer([0], []))
    twice = f"warning: the same dialogue and query as in {folder}/数据.jsonl:1 (record 0)"
    assert findings(folder, SOUND, other, again) == [
        f":2 (record 1): {twice}, with another answer",
        f":3 (record 2): {twice}",
    ]


def test_a_broken_line_is_named_and_the_others_checked(folder: Path) -> None:
    path = write(folder / "a.jsonl", SOUND, {})
    path.write_text(path.read_text(encoding="utf-8") + '{"messages": \n', encoding="utf-8")
    found = list(Checker(path, ImageFolder((folder,))).findings())
    assert [(f.where, f.fatal) for f in found] == [
        (f"{path}:2 (record 1)", True),
        (f"{path}:3 (record 2)", True),
    ]
    assert found[1].what.startswith("not JSON (Expecting value")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("没有.jpg", "没有.jpg: no such image under {folder}"),
        ("../secret.jpg", "../secret.jpg: lies outside {folder}"),
        ("文字.jpg", "文字.jpg: not a picture"),
        ("半.jpg", "半.jpg: cannot be read (image file is truncated"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg: is an address"),
    ],
)
def test_every_picture_is_opened(path: str, said: str, folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    whole = folder / "secret.jpg"
    PIL.Image.effect_noise((64, 64), 50).save(whole)
    (inner / "半.jpg").write_bytes(whole.read_bytes()[:-500])
    (inner / "文字.jpg").write_text("不是图片", encoding="utf-8")
    made = record(f"user1: {PICTURE}", images=[path])
    found = findings(folder, made, made, images=inner)
    expected = "image 0: " + said.format(folder=inner)
    assert found[0].startswith(f":1 (record 0): {expected}")
    assert found[-1].startswith(f":2 (record 1): {expected}")  # named for every record that has it


def test_a_picture_that_several_queries_share_is_named_once(folder: Path) -> None:
    turn = {"utterance_idx": 1, "speaker": "User1", "utterance": [{"image_url": "没有.jpg"}]}
    chat = CHAT | {"query_text": ["小猫", "小狗"], "gt_turns": [[0], [1]]}
    found = findings(folder, chat | {"dialogue": [*CHAT["dialogue"], turn]})
    assert found == [f":1 (record 0): image 0: 没有.jpg: no such image under {folder}"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        list(Checker(tmp_path / "没有.json", ImageFolder((tmp_path,))).findings())
    assert str(caught.value) == f"{tmp_path}/没有.json: cannot be read: No such file or directory"


def test_a_record_without_utterances_is_a_finding(folder: Path) -> None:
    made = record("user1: 你好")
    made["messages"][0]["content"] = "<|query_start|>小猫<|query_end|> 你好"
    [found] = findings(folder, made)
    assert found == ":1 (record 0): no utterance tag (<|utt_id_start|>n<|utt_id_end|>)"
