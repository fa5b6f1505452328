"""Bad input: exit code 2 and one line on standard error, never a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import answer, evaluated, lines, says

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _files(golden: Path, chats: Path) -> None:
    """Files that are wrong in one way each; the chats are sound."""
    Path("聊天.json").write_bytes(chats.read_bytes())
    Path("空.json").touch()
    Path("文件夹").mkdir()
    Path("坏.json").write_text('[{"dialogue": [}]')
    Path("数字.json").write_text("[1, 2]")
    Path("别的编码.json").write_bytes('[{"dialogue_id": "聊天"}]'.encode("gb18030"))
    Path("没有答案.json").write_text(
        json.dumps({"dialogue": [{"utterance_idx": 0, "utterance": "好"}], "query_text": "好"})
    )
    Path("没有问题.json").write_text(json.dumps({"dialogue": [{"utterance_idx": 0, "utterance": "好"}]}))
    Path("行.toml").write_text('[a]\nkind = "magic"\n')
    Path("坏.toml").write_text("[a\n")
    Path("重名.toml").write_text('[bm25]\nkind = "bm25"\ncutoff = 0.5\n')
    Path("多了.toml").write_text('[a]\nkind = "bm25"\ncutoff = 0.5\ncolour = "red"\n')
    Path("提示.txt").write_text("{query}")
    Path("模型.py").write_text("class Not: pass\n")
    Path("坏.py").write_text("def (\n")
    [first, *_] = lines(golden / "metrics/predictions_0.jsonl")
    Path("预测.jsonl").write_text(json.dumps(first))


EVAL = ("eval", "-m", "nothing", "-t")
BAD = [
    # unknown words
    ("nosuch",),
    ("data", "nosuch"),
    ("--nosuch",),
    ("eval",),
    ("eval", "-m", "nosuch", "-t", "example"),
    ("eval", "-m", "qwen2-vl:9b", "-t", "example"),
    ("eval", "-m", "nothing", "-t", "nosuch"),
    ("eval", "-m", "nothing", "-t", "example", "--nosuch"),
    ("eval", "-m", "nothing", "-t", "example", "--quiet", "stray"),
    ("eval", "-m", "nothing", "-t", "example", "--limit", "0"),
    ("eval", "-m", "nothing", "-t", "example", "--limit", "多"),
    ("eval", "-m", "nothing", "-t", "example", "--adapter", "lora"),
    ("score",),
    ("score", "预测.jsonl", "--protocol", "lenient"),
    ("score", "预测.jsonl", "--average", "median"),
    ("show", "预测.jsonl"),
    ("retrieve", "聊天.json", "好"),
    ("calibrate", "--task", "example"),
    # data
    *((*EVAL, file) for file in ("空.json", "坏.json", "数字.json", "别的编码.json", "文件夹")),
    *((*EVAL, file) for file in ("没有答案.json", "没有问题.json", "预测.json")),
    (*EVAL, "mldr=没有.json"),
    (*EVAL, "mldr", "--data-root", "没有"),
    (*EVAL, "mldr", "--data-root", "聊天.json"),
    *(("score", file) for file in ("空.json", "坏.json", "数字.json", "别的编码.json", "文件夹")),
    ("score", "没有.json"),
    ("score", "聊天.json"),
    *(("data", "stats", file) for file in ("空.json", "坏.json", "数字.json", "没有.json")),
    ("data", "check", "没有.json"),
    ("data", "merge", "没有.jsonl", "聊天.json", "-o", "新.jsonl"),
    ("data", "merge", "预测.jsonl", "聊天.json", "-o", "新.jsonl"),
    ("data", "slice", "聊天.json", "-o", "新.jsonl", "--turns", "0"),
    ("table",),
    ("table", "文件夹"),
    ("table", "没有"),
    ("show", "文件夹", "0"),
    ("show", "没有", "0"),
    ("show", "空.json", "0"),
    ("show", "预测.jsonl", "99"),
    ("show", "数字.json", "0"),
    # models and prompts
    *((*EVAL, "example", "--registry", f) for f in ("没有.toml", "坏.toml", "行.toml", "文件夹")),
    *((*EVAL, "example", "--registry", f) for f in ("重名.toml", "多了.toml")),
    ("models", "--registry", "行.toml"),
    *(("eval", "-m", name, "-t", "example") for name in ("模型.py:Not", "模型.py:No", "坏.py:A")),
    ("eval", "-m", "没有.py:A", "-t", "example"),
    (*EVAL, "example", "--prompt", "没有.txt"),
    (*EVAL, "example", "--prompt", "提示.txt"),
    (*EVAL, "example", "--prompt-from", "聊天.json"),
    (*EVAL, "example", "--prompt", "en", "--prompt-from", "预测.jsonl"),
    ("calibrate", "-m", "random", "-t", "example", "--name", "a", "-o", "新.toml"),
    ("calibrate", "-t", "wechat=聊天.json", "--name", "a", "-o", "新.toml"),
    ("calibrate", "-t", "example", "--name", "a", "-o", "行.toml"),
    ("calibrate", "-t", "example", "--name", "bm25", "-o", "新.toml"),
    ("retrieve", "--adapter", "lora", "-m", "bm25", "聊天.json", "好"),
    # places that cannot be written
    (*EVAL, "example", "--out", "聊天.json"),
    ("calibrate", "-t", "example", "--name", "a", "-o", "没有/新.toml"),
    ("data", "slice", "聊天.json", "-o", "没有/新.jsonl"),
    ("score", "预测.jsonl", "--json", "没有/新.json"),
    *(("score", "预测.jsonl", "--json", place) for place in ("文件夹", ".", "..", "/")),
    *(("data", "slice", "聊天.json", "-o", place) for place in ("文件夹", ".", "..", "/")),
    *(("data", "merge", "预测.jsonl", "聊天.json", "-o", place) for place in (".", "/")),
    *(("calibrate", "-t", "example", "--name", "a", "-o", place) for place in (".", "/")),
    ("data", "slice", "聊天.json", "-o", "聊天.json"),
]


@pytest.mark.parametrize("args", BAD, ids=lambda args: " ".join(args))
def test_bad_input_is_one_line_and_exit_code_2(f2r: Run, args: tuple[str, ...]) -> None:
    ended = f2r(*args)
    assert len(ended.complaint()) > 10
    assert "Traceback" not in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("command", ["show", "score", "table"])
@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"task": {}}'],
)
def test_a_damaged_run_json_is_named(f2r: Run, command: str, content: str) -> None:
    Path("运行").mkdir()
    Path("运行/run.json").write_text(content)
    ended = f2r(command, "运行", *(["0"] if command == "show" else []))
    assert str(Path("运行/run.json")) in ended.complaint()


@pytest.mark.parametrize("command", ["eval", "score"])
def test_a_damaged_answer_is_named_with_its_line(f2r: Run, command: str) -> None:
    f2r("eval", "-m", "nothing", "-t", "聊天.json")
    [path] = Path("runs").rglob("answers.jsonl")
    whole = path.read_text().splitlines()
    path.write_text("\n".join([whole[0], "{}", whole[2], ""]))
    command_line = {
        "eval": ("eval", "-m", "nothing", "-t", "聊天.json", "--quiet"),
        "score": ("score", path.parent),
    }[command]
    assert f2r(*command_line).complaint().startswith(f"{path}:2: ")


def test_a_run_without_predictions_cannot_be_shown(f2r: Run, chats: Path) -> None:
    run = evaluated(says(answer()), chats, Path("runs"))
    (run.path / "predictions.jsonl").unlink()
    assert str(run.path) in f2r("show", run.path, "0").complaint()


def test_a_prediction_whose_images_are_no_list_is_shown_or_refused(f2r: Run) -> None:
    line = json.loads(Path("预测.jsonl").read_text())
    Path("奇怪.jsonl").write_text(json.dumps({**line, "images": 5}))
    assert f2r("score", "奇怪.jsonl").code in (0, 2)
    assert f2r("show", "奇怪.jsonl", "0").code in (0, 2)


def test_what_is_wrong_with_a_record_says_file_line_record_and_what_to_do(f2r: Run) -> None:
    chats = json.loads(Path("聊天.json").read_text(encoding="utf-8"))
    chats.append({**chats[0], "gt_turns": [[1]]})
    Path("第二个.jsonl").write_text("\n\n".join(json.dumps(chat) for chat in chats))
    complaint = f2r(*EVAL, "第二个.jsonl").complaint()
    assert complaint.startswith("第二个.jsonl:3 (record 1): ")
    assert "gt_turns does not fit 3 queries" in complaint
    assert "f2r data check 第二个.jsonl" in complaint


def test_a_line_break_in_a_file_name_stays_one_line(f2r: Run) -> None:
    f2r("score", "没有\n这个 文件.json").complaint()


def test_nothing_is_left_behind_by_a_failed_merge(f2r: Run, golden: Path) -> None:
    before = set(Path().iterdir())
    f2r("data", "merge", "预测.jsonl", golden / "sliding/original.json", "-o", "新.jsonl").complaint()
    assert set(Path().iterdir()) == before
