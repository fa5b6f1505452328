"""f2r data: check, stats, slice, merge."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import answer, lines

Run = Callable[..., Any]


def test_sound_data_is_said_to_be(f2r: Run, example: Path) -> None:
    ended = f2r("data", "check", "example")
    assert (ended.code, ended.err) == (0, "")
    [summary] = ended.out.splitlines()
    assert summary == f"{example}: 2 records, 7 requests, 0 problems, 0 warnings"


def test_every_problem_is_listed_with_its_place(f2r: Run, example: Path) -> None:
    shutil.copytree(example.parent, "聊天")
    Path("聊天/images/tent.png").unlink()
    Path("聊天/images/cake.png").write_bytes(b"no picture")
    chats = json.loads(Path("聊天/chats.json").read_text(encoding="utf-8"))
    chats[1]["gt_turns"][0].append(99)
    Path("聊天/坏的.jsonl").write_text(
        "\n".join(json.dumps(chat) for chat in [*chats, {"dialogue": []}]) + "\n{", encoding="utf-8"
    )
    ended = f2r("data", "check", "聊天/坏的.jsonl")
    assert (ended.code, ended.err) == (2, "")
    *findings, summary = ended.out.splitlines()
    for line, words in [
        (1, "images/tent.png"),
        (1, "images/cake.png"),
        (2, "warning: gt_turns has turns that the dialogue lacks: [99]"),
        (3, "dialogue is not a list of turns"),
        (4, "not JSON"),
    ]:
        assert any(f.startswith(f"聊天/坏的.jsonl:{line} ") and words in f for f in findings), words
    problems = sum("warning: " not in finding for finding in findings)
    assert summary.endswith(f"{problems} problems, {len(findings) - problems} warnings")


def test_warnings_alone_are_exit_code_0(f2r: Run, chats: Path) -> None:
    written = json.loads(chats.read_text(encoding="utf-8"))
    written[0]["gt_turns"][0].append(99)
    for turn in written[0]["dialogue"]:
        turn["utterance"] = "没有图片"
    chats.write_text(json.dumps(written), encoding="utf-8")
    ended = f2r("data", "check", chats)
    assert ended.code == 0
    assert ended.out.endswith("0 problems, 1 warnings\n")


def test_pictures_outside_the_folder_are_a_problem_unless_allowed(f2r: Run, example: Path) -> None:
    Path("里面").mkdir()
    shutil.copy(example.parent / "images/cake.png", "外面.png")
    text = example.read_text(encoding="utf-8").replace("images/", str(example.parent / "images") + "/")
    Path("里面/聊天.json").write_text(text, encoding="utf-8")
    ended = f2r("data", "check", "里面/聊天.json")
    assert ended.code == 2
    assert "outside" in ended.out
    assert f2r("data", "check", "里面/聊天.json", "--allow-outside-images").code == 0


def test_stats_describe_the_requests(f2r: Run, chats: Path) -> None:
    ended = f2r("data", "stats", chats)
    assert (ended.code, ended.err) == (0, "")
    [_, *rows], [told, *shares] = (part.splitlines() for part in parted(ended.out))
    table = {line.rsplit(None, 4)[0]: line.split()[-4:] for line in rows}
    assert table["turns"] == ["12.00"] * 4
    assert table["images"] == ["2.00"] * 4
    assert table["gold utterances"] == ["1.33", "0.00", "1.00", "3.00"]
    assert table["gold images"] == ["0.67", "0.00", "1.00", "1.00"]
    assert told == "聊天.json: 3 requests over 1 dialogues; of the requests"
    assert shares == [
        " 33.3%  match nothing (1)",
        "  0.0%  only images (0)",
        " 33.3%  only utterances with pictures (1)",  # 谁带蛋糕: turn 7 is a picture
        " 66.7%  no content word shared with the fragment (2)",
    ]


def test_stats_say_what_is_synthetic_and_which_shares_the_data_names(f2r: Run, small_mini: Path) -> None:
    ended = f2r("data", "stats", "mini-wechat")
    assert (ended.code, ended.err) == (0, "")
    told, *shares = parted(ended.out)[1].splitlines()
    assert told == "mini-wechat: 20 requests over 8 dialogues, synthetic; of the requests"
    assert shares[:4] == [
        " 15.0%  match nothing (3)",
        "  0.0%  only images (0)",
        " 20.0%  only utterances with pictures (4)",
        " 55.0%  no content word shared with the fragment (11)",
    ]
    named = dict(re.findall(r"named (\S+) \((\d+)\)", "\n".join(shares)))
    assert int(named.pop("en")) + int(named.pop("zh")) == 20
    assert named == {
        "synthetic": "20",
        "no-overlap": "7",
        "overlap": "6",
        "picture-only": "4",
        "unseen-topic": "4",
        "nothing": "3",
    }


def parted(out: str) -> tuple[str, str]:
    """The table, and what follows it."""
    head, told, shares = out.partition(" requests over ")
    table, _, name = head.rpartition("\n")
    return table, name + told + shares


@pytest.mark.parametrize("turns", [1, 7, 100, 10_000])
def test_slices_are_official_records_that_cover_every_turn(f2r: Run, golden: Path, turns: int) -> None:
    original = golden / "sliding/original.json"
    ended = f2r("data", "slice", original, "-o", "切片.jsonl", "--turns", str(turns))
    assert ended.code == 0
    written = lines(Path("切片.jsonl"))
    assert ended.out == f"切片.jsonl: {len(written)} records from 12 requests\n"
    assert f2r("data", "stats", "切片.jsonl").code == 0
    tags = "<|utt_id_start|>"
    counts = [record["messages"][1]["content"].count(tags) for record in written]
    assert max(counts) <= turns
    whole = json.loads(original.read_text(encoding="utf-8"))
    assert sum(counts) == sum(record["messages"][1]["content"].count(tags) for record in whole)
    if turns == 10_000:
        assert [record["solution"] for record in written] == [record["solution"] for record in whole]


def test_merged_slices_are_what_the_release_merges(f2r: Run, golden: Path) -> None:
    folder = golden / "sliding"
    expected = json.loads((folder / "expected.json").read_text())
    merge = ("data", "merge", folder / "slice_predictions.jsonl", folder / "original.json")
    ended = f2r(*merge, "-o", "合并.jsonl")
    assert (ended.code, ended.out) == (0, "合并.jsonl: 12 predictions\n")
    merged = {line["dialogue_id"]: line["response"] for line in lines(Path("合并.jsonl"))}
    assert merged == expected["merged_responses"]
    found = json.loads(f2r("score", "合并.jsonl", "--json", "-").out)
    for ours, theirs in (("utterance", "sentence"), ("image", "image"), ("joint", "joint")):
        wanted = expected["micro_after_merge"][f"{theirs}_metrics"]
        rounded = {f"global_{metric}": round(value, 4) for metric, value in found[ours].items()}
        assert rounded == wanted


def test_what_slice_cuts_merge_puts_together(f2r: Run, golden: Path) -> None:
    """Slices of ours, answered with their own gold, give the gold of the whole."""
    original = golden / "sliding/original.json"
    f2r("data", "slice", original, "-o", "切片.jsonl", "--turns", "40")
    with Path("回答.jsonl").open("w", encoding="utf-8") as file:
        for record in lines(Path("切片.jsonl")):
            line = {**record, "response": record["solution"], "labels": record["solution"]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    assert f2r("data", "merge", "回答.jsonl", original, "-o", "合并.jsonl").code == 0
    merged = lines(Path("合并.jsonl"))
    assert [line["response"] for line in merged] == [line["labels"] for line in merged]
    for record, line in zip(json.loads(original.read_text()), merged, strict=True):
        assert line["labels"] == record["solution"]


def test_a_lacking_slice_is_named(f2r: Run, golden: Path) -> None:
    read = lines(golden / "sliding/slice_predictions.jsonl")
    Path("少一个.jsonl").write_text("\n".join(json.dumps(line) for line in read[:-1]))
    original = golden / "sliding/original.json"
    complaint = f2r("data", "merge", "少一个.jsonl", original, "-o", "合并.jsonl").complaint()
    assert "少一个.jsonl" in complaint
    assert "no slice prediction covers" in complaint
    assert not Path("合并.jsonl").exists()


def test_a_dialogue_that_is_also_there_as_a_whole_is_named(f2r: Run, golden: Path) -> None:
    read = lines(golden / "sliding/slice_predictions.jsonl")
    read[1] = {**read[1], "dialogue_id": "w0", "response": answer()}
    Path("不是.jsonl").write_text("\n".join(json.dumps(line) for line in read))
    ended = f2r("data", "merge", "不是.jsonl", golden / "sliding/original.json", "-o", "合并.jsonl")
    assert ended.complaint() == ("不是.jsonl: w0 is there more than once as a whole, or also in slices")


def test_a_file_is_not_sliced_into_itself(f2r: Run, chats: Path) -> None:
    before = chats.read_bytes()
    Path("链接.json").symlink_to(chats)
    for out in (chats, chats.parent / "图片/../聊天.json", "链接.json"):
        assert "--out is the file itself" in f2r("data", "slice", chats, "-o", out).complaint()
        assert chats.read_bytes() == before
