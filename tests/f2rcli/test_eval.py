"""f2r eval: from names to a table and run folders."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import lines

Run = Callable[..., Any]
PLAIN = "yield found(request, Fragment(frozenset({2, 3}), frozenset({0})))"


def folders(out: str) -> list[Path]:
    """The run folders that a command named, in its order."""
    return [Path(line.removeprefix("run: ")) for line in out.splitlines() if line.startswith("run: ")]


def rows(out: str) -> dict[str, list[str]]:
    """Model → its cells in the table."""
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}


def test_the_table_goes_to_standard_output_and_progress_to_standard_error(f2r: Run) -> None:
    ended = f2r("eval", "--model", "nothing", "oracle", "bm25", "random", "--task", "example")
    assert ended.code == 0
    table = rows(ended.out)
    assert table["oracle"] == ["reference", *["100.00"] * 4]
    assert table["nothing"] == ["reference", *["0.00"] * 4]
    assert list(table)[2:6] == ["nothing", "oracle", "bm25", "random"]
    assert "7/7" in ended.err
    assert "7/7" not in ended.out
    assert "100.00" not in ended.err
    assert "\x1b" not in ended.out + ended.err
    for run in folders(ended.out):
        names = {"run.json", "answers.jsonl", "predictions.jsonl", "scores.json"}
        assert names <= {file.name for file in run.iterdir()}
        assert run.parent == Path("runs/example")


def test_quiet_says_nothing_on_standard_error(f2r: Run) -> None:
    ended = f2r("eval", "-m", "nothing", "-t", "example", "--quiet")
    assert (ended.code, ended.err) == (0, "")


def test_models_and_tasks_can_be_given_as_lists_or_one_by_one(f2r: Run, chats: Path) -> None:
    listed = f2r("eval", "--model", "nothing", "oracle", "--task", "example", chats, "--quiet")
    ones = f2r("eval", "--task", "example", "-m", "nothing", "-t", chats, "--quiet", "--model", "oracle")
    mixed = f2r(
        "eval", "--quiet", "-m", "nothing", "--task=example", "-t", chats, "-m", "oracle", "oracle"
    )
    assert listed.code == 0
    assert listed == ones == mixed
    assert len(set(folders(listed.out))) == 4


def test_a_list_may_begin_behind_an_equals_sign(f2r: Run) -> None:
    ended = f2r("eval", "--model=nothing", "oracle", "--task=example", "--quiet")
    assert ended == f2r("eval", "-m", "nothing", "oracle", "-t", "example", "--quiet")
    assert ended.code == 0


def test_the_same_command_again_asks_nothing_and_prints_the_same(f2r: Run) -> None:
    command = ("eval", "-m", "bm25", "random", "-t", "example", "--quiet")
    first = f2r(*command)
    answers = [(run / "answers.jsonl").read_bytes() for run in folders(first.out)]
    again = f2r(*command)
    assert again == first
    assert [(run / "answers.jsonl").read_bytes() for run in folders(again.out)] == answers


def test_a_limit_is_deterministic_and_nested(f2r: Run, data_root: Path) -> None:
    chosen: dict[tuple[int, int], list[str]] = {}
    for seed in (0, 1):
        for limit in (1, 4, 9, 100):
            for out in ("a", "b"):
                command = ("eval", "-m", "nothing", "-t", "mldr", "--data-root", data_root, "--quiet")
                ended = f2r(*command, "--limit", str(limit), "--seed", str(seed), "--out", out)
                [run] = folders(ended.out)
                asked = [line["f2r"]["request"] for line in lines(run / "predictions.jsonl")]
                assert chosen.setdefault((seed, limit), asked) == asked
    for seed in (0, 1):
        sizes = [chosen[seed, limit] for limit in (1, 4, 9, 100)]
        assert [len(asked) for asked in sizes] == [1, 4, 9, 12]
        for smaller, larger in pairwise(sizes):
            assert smaller == [request for request in larger if request in smaller]
    assert chosen[0, 4] != chosen[1, 4]


def test_the_random_row_goes_by_the_seed(f2r: Run) -> None:
    printed = {
        f2r("eval", "-m", "random", "-t", "example", "--quiet", "--seed", str(s)).out for s in range(3)
    }
    assert len(printed) == 3


def test_without_a_task_the_real_sets_are_looked_for(f2r: Run) -> None:
    complaint = f2r("eval", "--model", "bm25").complaint()
    for word in ("mldr", "wechat", str(Path.cwd()), "MLDR_val.json", "WeChat_test_set"):
        assert word in complaint
    assert "MLDR.tar" in complaint  # where they come from
    assert "WeChat_test_set.tar" in complaint
    assert "--data-root" in complaint  # how to say where they are
    assert "F2R_DATA" in complaint
    assert "--task example" in complaint  # what runs without them
    assert not Path("runs").exists()


def test_one_real_set_without_the_other_names_the_other(f2r: Run, data_root: Path) -> None:
    ended = f2r("eval", "--model", "nothing", "--data-root", data_root)
    assert ended.code == 0
    assert ended.err.startswith("wechat: no data")
    assert "mldr: 12 requests" in ended.out


def test_data_is_found_by_the_environment(
    f2r: Run, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("F2R_DATA", str(data_root))
    ended = f2r("eval", "-m", "oracle", "-t", "mldr", "--quiet")
    assert ended.code == 0
    assert "12 requests, published protocol" in ended.out
    assert "†" in ended.out


def test_a_task_of_ones_own_in_chinese_folders(f2r: Run, chats: Path) -> None:
    ended = f2r("eval", "-m", "oracle", "-t", chats, "--out", "结果/第一次")
    assert ended.code == 0
    assert ended.out.split()[0] == "聊天"
    [run] = folders(ended.out)
    assert run.parent == Path("结果/第一次/聊天")


def test_a_file_can_be_given_for_a_named_task(f2r: Run, chats: Path) -> None:
    ended = f2r("eval", "-m", "oracle", "-t", f"wechat={chats}", "--quiet")
    assert "wechat: 3 requests, published protocol" in ended.out
    assert folders(ended.out)[0].parent == Path("runs/wechat")


def test_modality_adds_two_tables(f2r: Run) -> None:
    ended = f2r("eval", "-m", "oracle", "-t", "example", "--modality", "--quiet")
    heads = [line.split(",")[0] for line in ended.out.splitlines() if ", %" in line]
    assert heads == ["joint", "utterance", "image"]


def test_a_model_of_ones_own_sees_no_gold_and_gets_its_row(
    f2r: Run, chats: Path, model: Callable[..., str]
) -> None:
    name = model("assert request.gold is None; " + PLAIN)
    ended = f2r("eval", "-m", name, "-t", chats, "--quiet")
    assert ended.code == 0
    assert "模型.py:Own" in ended.out


@pytest.mark.parametrize("failing", ["0", "0, 2"])
def test_unanswered_requests_are_exit_code_3_and_asked_again(
    f2r: Run, chats: Path, model: Callable[..., str], failing: str
) -> None:
    flag = Path("再试").resolve()
    fail = 'yield Retrieval(request.id, failure=Failure("error", "服务器忙"))'
    name = model(
        f"if i in ({failing},) and not os.path.exists({str(flag)!r}): {fail}\n            else: {PLAIN}"
    )
    command = ("eval", "-m", name, "-t", chats, "--quiet")
    ended = f2r(*command)
    assert ended.code == 3
    [line] = ended.err.splitlines()
    assert line.startswith(f"f2r: {len(failing.split())} ")
    assert "服务器忙" in line
    assert line.endswith("; the same command asks again")
    assert "coverage" in ended.out
    flag.touch()
    again = f2r(*command)
    assert (again.code, again.err) == (0, "")
    assert "coverage" not in again.out
    assert len(lines(folders(again.out)[0] / "answers.jsonl")) == 3 + len(failing.split())


def test_a_refusal_is_an_answer(f2r: Run, chats: Path, model: Callable[..., str]) -> None:
    name = model('yield Retrieval(request.id, failure=Failure("refused", "不合适"))')
    ended = f2r("eval", "-m", name, "-t", chats, "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert "3 refused" in ended.out


def test_an_interruption_is_exit_code_130_and_loses_nothing(
    f2r: Run, chats: Path, model: Callable[..., str]
) -> None:
    name = model(f"{PLAIN}\n            raise KeyboardInterrupt")
    ended = f2r("eval", "-m", name, "-t", chats, "--quiet")
    assert ended.code == 130
    assert ended.out == ""
    [line] = ended.err.strip().splitlines()
    assert line.startswith("f2r: interrupted")
    [answers] = Path("runs").rglob("answers.jsonl")
    assert [line["request"] for line in lines(answers)] == ["露营:0"]


def test_prompts_of_ones_own(f2r: Run, chats: Path, golden: Path) -> None:
    Path("提示.txt").write_text("找「{query}」：\n{dialogue}\n", encoding="utf-8")
    original = golden / "sliding/original.json"
    contents = []
    for option in (("--prompt", "提示.txt"), ("--prompt-from", original), ("--prompt", "en"), ()):
        [run] = folders(f2r("eval", "-m", "nothing", "-t", chats, "--quiet", *option).out)
        messages = lines(run / "predictions.jsonl")[0]["messages"]
        contents.append([message["content"] for message in messages[:-1]])
    assert contents[0][-1].startswith("找「帐篷在哪里」：\n")
    assert contents[1][0] == json.loads(original.read_text())[0]["messages"][0]["content"]
    assert "<|query_start|>帐篷在哪里<|query_end|>" in contents[1][1]
    assert re.search(r"[a-z]+ chat", contents[2][-1])
    assert "聊天记录" in contents[3][-1]


def test_rows_of_ones_own(f2r: Run, chats: Path, model: Callable[..., str]) -> None:
    file = model(PLAIN).rpartition(":")[0]
    registry = Path("我的.toml")
    registry.write_text(
        f'["我的模型"]\nkind = "python"\nfile = {json.dumps(file)}\nclass = "Own"\ntrained = "SFT"\n',
        encoding="utf-8",
    )
    ended = f2r("eval", "-m", "我的模型", "oracle", "-t", chats, "--registry", registry, "--quiet")
    assert ended.code == 0
    assert rows(ended.out)["我的模型"][0] == "SFT"
    assert "我的模型" in f2r("models", "--registry", registry).out


def test_two_files_of_one_name_are_two_columns(f2r: Run, chats: Path, tmp_path: Path) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("别的"))
    ended = f2r("eval", "-m", "oracle", "-t", chats, other, "--quiet")
    assert ended.code == 0
    assert rows(ended.out)["oracle"] == ["reference", *["100.00"] * 8]
