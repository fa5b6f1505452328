"""What is there stays there, and what is odd is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import answer, evaluated, says

from f2rcli.results.runs import RunFolder

Run = Callable[..., Any]


def test_a_merge_does_not_replace_what_it_reads(f2r: Run, golden: Path) -> None:
    for name in ("slice_predictions.jsonl", "original.json"):
        Path(name).write_bytes((golden / "sliding" / name).read_bytes())
    for name in ("slice_predictions.jsonl", "original.json"):
        before = Path(name).read_bytes()
        ended = f2r("data", "merge", "slice_predictions.jsonl", "original.json", "-o", name)
        assert "--out is the file itself" in ended.complaint()
        assert Path(name).read_bytes() == before


def test_scores_do_not_replace_the_predictions(f2r: Run, golden: Path) -> None:
    Path("预测.jsonl").write_bytes((golden / "metrics/predictions_0.jsonl").read_bytes())
    before = Path("预测.jsonl").read_bytes()
    f2r("score", "预测.jsonl", "--json", "预测.jsonl").complaint()
    assert Path("预测.jsonl").read_bytes() == before


def test_a_run_in_progress_does_not_hide_the_others(f2r: Run, chats: Path) -> None:
    evaluated(says(answer()), chats, Path("runs"))
    other = evaluated(says(answer(), config=1), chats, Path("runs"))
    record = json.loads((other.path / "run.json").read_text(encoding="utf-8"))
    (other.path / "run.json").write_text(json.dumps(record | {"finished": None}), encoding="utf-8")
    with RunFolder(other.path).locked():
        ended = f2r("table")
    assert ended.code == 0
    assert ended.out.count("手写 模型") == 2  # its row, and a note about the other
    assert "is not shown: " in ended.out


def test_a_file_is_looked_for_under_the_data_root_too(
    f2r: Run, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("F2R_DATA", str(chats.parent))
    assert f2r("eval", "-m", "oracle", "-t", chats.name, "--quiet").code == 0


def test_half_a_tag_is_a_problem(f2r: Run, golden: Path) -> None:
    records = json.loads((golden / "sliding/original.json").read_text(encoding="utf-8"))
    user = next(m for m in records[0]["messages"] if m["role"] == "user")
    user["content"] = user["content"].replace("\n<|utt_id_start|>7<|utt_id_end|>", "\n<|utt_id_start|>7")
    Path("半.json").write_text(json.dumps(records[:1]), encoding="utf-8")
    ended = f2r("data", "check", "半.json")
    assert ended.code == 2
    assert "a line begins with half an utterance tag: <|utt_id_start|>7" in ended.out


def test_the_check_finds_a_prediction_without_an_answer(f2r: Run, golden: Path) -> None:
    text = (golden / "metrics/predictions_0.jsonl").read_text(encoding="utf-8").splitlines()[0]
    line = json.loads(text)
    del line["response"]
    Path("预测.jsonl").write_text(json.dumps(line), encoding="utf-8")
    assert "response is missing" in f2r("data", "check", "预测.jsonl").out


def test_nothing_in_a_pipe_ends_in_spaces(f2r: Run, chats: Path) -> None:
    evaluated(says(answer()), chats, Path("runs"))
    for args in (("table", "--layout", "modality"), ("models",), ("tasks",), ("data", "stats", chats)):
        assert not [line for line in f2r(*args).out.splitlines() if line != line.rstrip()]
