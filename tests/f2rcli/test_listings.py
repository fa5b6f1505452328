"""f2r models, f2r tasks, f2r calibrate, f2r table, f2r show."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import official
import pytest
from handmade import Scripted, answer, evaluated, says, scores

from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.mini.cache import cached_file
from f2rcli.tasks.types import Failure

Run = Callable[..., Any]


def test_every_model_with_a_name_is_listed_with_where_it_comes_from(f2r: Run) -> None:
    ended = f2r("models")
    assert (ended.code, ended.err) == (0, "")
    listed = {line.split()[0]: line for line in ended.out.splitlines() if line}
    assert {"bm25", "random", "everything", "nothing", "oracle", "qwen2-vl", "qwen2.5-vl"} <= set(listed)
    assert "Qwen/Qwen2-VL-7B-Instruct" in listed["qwen2-vl"]
    assert "2b" in listed["qwen2-vl"]
    assert "reference" in listed["oracle"]
    assert "hf:PATH" in ended.out


def test_tasks_say_where_their_data_is_or_comes_from(f2r: Run, data_root: Path, example: Path) -> None:
    listed = {line.split()[0]: line for line in f2r("tasks").out.splitlines() if line}
    assert "MLDR.tar" in listed["mldr"]
    assert "WeChat_test_set.tar" in listed["wechat"]
    assert str(example) in listed["example"]
    ended = f2r("tasks", "--data-root", data_root)
    assert ended.code == 0
    found = {line.split()[0]: line for line in ended.out.splitlines() if line}
    assert str(data_root / "MLDR_val.json") in found["mldr"]
    assert str(data_root) in found["wechat"]  # where it was looked for
    assert [found[task].split()[1] for task in ("mldr", "wechat", "example")] == [
        "published",
        "published",
        "strict",
    ]


def test_where_lm_eval_finds_the_tasks_is_all_that_is_printed(f2r: Run) -> None:
    ended = f2r("tasks", "--lm-eval-path")
    assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
    assert (Path(ended.out.removesuffix("\n")) / "f2r_mini_mldr.yaml").is_file()


def test_mini_sets_are_listed_with_where_they_are_once_they_are_made(f2r: Run, small_mini: Path) -> None:
    before = f2r("tasks").out
    listed = {line.split()[0]: line for line in before.splitlines() if line}
    for name in ("mini-mldr", "mini-wechat", "mini-mldr-train", "mini-mldr-grpo"):
        assert listed[name].endswith("  made on first use")
        assert "synthetic" in listed[name]
    assert "test only" in listed["mini-wechat"]
    assert "--task mini stands for mini-mldr and mini-wechat." in before
    assert not small_mini.exists()
    f2r("data", "mini", "mini-mldr")
    after = {line.split()[0]: line for line in f2r("tasks").out.splitlines() if line}
    assert after["mini-mldr"].endswith(str(cached_file("mini-mldr")))
    assert after["mini-wechat"].endswith("  made on first use")


def test_no_cut_off_is_chosen_on_what_is_for_testing_only(f2r: Run, small_mini: Path) -> None:
    f2r("data", "mini", "mini-wechat", "--seed", "7", "-o", "姊妹")
    options = ("--name", "我的", "-o", "行.toml")
    for task in ("mini-wechat", "姊妹/mini-wechat/mini-wechat.jsonl"):
        assert f2r("calibrate", "-t", task, *options).complaint() == (
            "mini-wechat is for testing only; choose on training or validation data"
        )
    complaint = f2r("calibrate", "-t", "mini", *options).complaint()
    assert complaint == "mini is several tasks; give one of mini-mldr, mini-wechat"
    assert not Path("行.toml").exists()
    assert f2r("calibrate", "-t", "mini-mldr", *options).code == 0


def test_several_files_that_could_be_one_task_are_named(f2r: Run, tmp_path: Path) -> None:
    (tmp_path / "WeChat_test_set").mkdir()
    for name in ("甲.json", "乙.json"):
        (tmp_path / "WeChat_test_set" / name).touch()
    complaint = f2r("eval", "-m", "nothing", "-t", "wechat", "--data-root", tmp_path).complaint()
    for word in ("甲.json", "乙.json", "--task wechat=PATH"):
        assert word in complaint


def test_a_chosen_cut_off_is_a_row_that_eval_reads(f2r: Run, data_root: Path) -> None:
    data = ("--data-root", data_root)
    ended = f2r("calibrate", "-t", "mldr", *data, "--name", "我的-bm25", "-o", "行.toml")
    assert ended.code == 0
    assert ended.err.startswith("f2r: mldr is what models are tested on: ")
    row = tomllib.loads(Path("行.toml").read_text(encoding="utf-8"))["我的-bm25"]
    assert 0 < row["cutoff"] < 1
    assert "MLDR_val.json, 12 requests, SHA-256" in row["chosen_on"]
    assert f"{row['cutoff']:.2f}" in ended.out
    command = (
        "eval",
        "-m",
        "我的-bm25",
        "bm25",
        "-t",
        "mldr",
        *data,
        "--registry",
        "行.toml",
        "--quiet",
    )
    assert f2r(*command).code == 0
    f1 = {}
    for record in Path("runs").rglob("run.json"):
        name = json.loads(record.read_text(encoding="utf-8"))["model"]["name"]
        f1[name] = json.loads((record.parent / "scores.json").read_text())["strict"]["joint"]["f1"]
    assert f1["我的-bm25"] >= f1["bm25"]
    assert f"{100 * f1['我的-bm25']:.2f} %" in ended.out


def test_a_table_of_runs_is_what_eval_printed(f2r: Run) -> None:
    printed = f2r("eval", "-m", "bm25", "oracle", "-t", "example", "--quiet").out
    table = [line for line in printed.splitlines() if not line.startswith("run: ")]
    runs = [line.removeprefix("run: ") for line in printed.splitlines() if line.startswith("run: ")]
    ended = f2r("table", *runs)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == table
    assert sorted(f2r("table").out.splitlines()) == sorted(table)  # ./runs


@pytest.mark.parametrize("protocol", ["published", "strict"])
def test_a_table_under_either_protocol_with_its_modalities(f2r: Run, chats: Path, protocol: str) -> None:
    run = evaluated(says("答：" + answer([2, 3], [0])), chats, Path("runs"))
    ended = f2r("table", run.path, "--protocol", protocol, "--layout", "modality")
    for part in ("joint", "utterance", "image"):
        values = scores(run)[protocol][part]
        printed = "  ".join(f"{100 * value:.2f}" for value in values.values()).split()
        [head] = [i for i, line in enumerate(ended.out.splitlines()) if line.startswith(part)]
        assert ended.out.splitlines()[head + 1].split()[3:7] == printed
    assert f"{protocol} protocol" in ended.out


def test_published_numbers_can_be_left_out(f2r: Run, chats: Path) -> None:
    task = replace(load_task(str(chats)), name="wechat", protocol="published", named=True)
    evaluated(says(answer()), task, Path("runs"))
    assert "62.07" in f2r("table").out
    assert "62.07" not in f2r("table", "--no-published").out
    assert "62.07" not in f2r("table", "--protocol", "strict").out


def test_an_interrupted_run_is_noted_in_the_table(f2r: Run, chats: Path) -> None:
    def broken(request: object) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluated(Scripted(broken), chats, Path("runs"))
    ended = f2r("table")
    assert ended.code == 0
    assert "interrupted" in ended.out
    assert "coverage 0.00 %" in ended.out


def test_a_dialogue_of_a_run_is_shown(f2r: Run, chats: Path) -> None:
    run = evaluated(says("答：" + answer([2, 5], [0])), chats, Path("runs"))
    ended = f2r("show", run.path, "露营:0")
    assert (ended.code, ended.err) == (0, "")
    assert "帐篷在哪里" in ended.out
    assert "failures: malformed" in ended.out  # the task's protocol is strict
    assert f2r("show", run.path, "0").out == ended.out
    published = f2r("show", run.path, "露营:0", "--protocol", "published")
    assert "utterances: 1 found, 2 missed, 1 too many" in published.out


def test_a_prediction_file_of_others_is_shown(f2r: Run, golden: Path) -> None:
    ended = f2r("show", golden / "metrics/predictions_1.jsonl", "7")
    assert ended.code == 0
    assert "utterances: " in ended.out


def test_a_request_that_failed_is_shown_with_its_failure(f2r: Run, chats: Path) -> None:
    run = evaluated(Scripted(lambda request: Failure("error", "服务器忙")), chats, Path("runs"))
    assert "failures: error" in f2r("show", run.path, "1").out


def test_an_unknown_request_is_named_beside_known_ones(f2r: Run, chats: Path) -> None:
    run = evaluated(says(answer()), chats, Path("runs"))
    complaint = f2r("show", run.path, "露营:9").complaint()
    assert "'露营:9'" in complaint
    assert "露营:0" in complaint


def test_an_id_that_is_a_number_is_shown_before_the_place(f2r: Run) -> None:
    said = {"1": "第一", "0": "第二"}
    named = [official.line(f"user1: {text}", dialogue_id=name) for name, text in said.items()]
    path = official.write(Path("预测.jsonl"), *named)
    for name, text in said.items():
        assert f"user1: {text}" in f2r("show", path, name).out


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("utterance_threshold = 1.5", "not a number from -1 to 1"),
        ("top_k = 0", "not a whole number above 0"),
        ("context = -1", "not a whole number above 0"),
        ('text_prompt = "passage: "', "not a text with {text} in it"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(f2r: Run, setting: str, said: str) -> None:
    Path("行.toml").write_text(f'[a]\nkind = "embedding"\ncheckpoint = "b/c"\n{setting}\n')
    complaint = f2r("models", "--registry", "行.toml").complaint()
    assert "row a: " in complaint
    assert said in complaint


def test_a_row_may_say_how_it_was_checked(f2r: Run) -> None:
    Path("行.toml").write_text('[a]\nkind = "nothing"\nchecked = "real weights"\n')
    assert f2r("models", "--registry", "行.toml").code == 0
