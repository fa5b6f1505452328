"""f2r compare and f2r baseline: what is printed, and exit codes 0, 1 and 2."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import answered
import pytest
import yaml
from answered import GOLD, MISSED, dropped, perfect
from handmade import answer, evaluated, says

from f2rcli.main import cli
from f2rcli.results.bootstrap import METRICS

Run = Callable[..., Any]
FAST = ("--resamples", "999")
DOCS = Path(__file__).resolve().parents[2] / "docs/comparison.md"
DROP = "-2.94"  # of joint F1: -1/34


@pytest.fixture(autouse=True)
def _files() -> None:
    """Forty dialogues of two requests each: answered rightly, with a drop, and other ones."""
    answered.write(Path("前.jsonl"), *perfect(40))
    answered.write(Path("后.jsonl"), *dropped(40))
    answered.write(Path("别的.jsonl"), *perfect(39), [GOLD])


def test_the_same_file_passes_a_gate(f2r: Run) -> None:
    ended = f2r("compare", "后.jsonl", "后.jsonl", "--gate", "--max-drop", "joint.f1=0", *FAST)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[:2] == [
        "gate passed: 后.jsonl against 后.jsonl",
        "  joint.f1 +0.00 [+0.00, +0.00] points, may drop by 0.00: ok",
    ]


def test_a_planted_drop_of_three_points_does_not(f2r: Run) -> None:
    ended = f2r("compare", "前.jsonl", "后.jsonl", "--gate", *FAST)
    assert (ended.code, ended.err) == (1, "")
    lines = ended.out.splitlines()
    assert lines[0] == "gate failed: 后.jsonl against 前.jsonl"
    assert lines[1].startswith(f"  joint.f1 {DROP} [-")
    assert lines[1].endswith("] points, may drop by 1.00: it dropped by more")
    assert "80 requests of 40 dialogues, published protocol" in lines[-1]


def test_only_the_named_metrics_decide(f2r: Run) -> None:
    compare = ("compare", "前.jsonl", "后.jsonl", "--gate", *FAST)
    allowed = ("--max-drop", "joint.f1=5", "--max-drop", "image.recall=0")
    assert f2r(*compare, *allowed).code == 0
    ended = f2r(*compare, *allowed, "--max-drop", "utterance.recall=10")
    assert ended.code == 1
    assert ended.out.count(": ok\n") == 2
    assert "utterance.recall -11.11" in ended.out


@pytest.mark.parametrize("gate", [(), ("--gate",)])
def test_other_data_is_refused_unless_forced(f2r: Run, gate: tuple[str, ...]) -> None:
    complaint = f2r("compare", "前.jsonl", "别的.jsonl", *gate, *FAST).complaint()
    for word in ("1 only in 前.jsonl (such as @79)", "79 in both", "--force"):
        assert word in complaint
    ended = f2r("compare", "前.jsonl", "别的.jsonl", *gate, *FAST, "--force")
    assert ended.code == 0
    assert "forced: not the same requests: 1 only in 前.jsonl" in ended.out
    assert "79 requests of 40 dialogues" in ended.out
    made = json.loads(f2r("compare", "前.jsonl", "别的.jsonl", *FAST, "--force", "--json", "-").out)
    assert made["forced"] is True


def test_the_table_has_what_the_json_has(f2r: Run) -> None:
    compare = ("compare", "前.jsonl", "后.jsonl", *FAST)
    ended = f2r(*compare, "--flips", "2")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:2] == ["base  前.jsonl", "new   后.jsonl"]
    rows = {" ".join(line.split()[:2]): line.split()[2:] for line in lines[3:9]}
    assert list(rows) == [*(f"joint {m}" for m in ("P", "R", "F1", "MCC")), "utterance F1", "image F1"]
    made = json.loads(f2r(*compare, "--json", "-").out)
    found = made["comparisons"][0]
    assert list(found["differences"]) == list(METRICS)
    f1 = found["differences"]["joint.f1"]
    assert (f1["base"], f1["new"], f1["difference"]) == pytest.approx((1, 33 / 34, -1 / 34))
    assert (f1["p_holm"], f1["low"] < f1["difference"] < f1["high"]) == (None, True)
    cells = [f"{100 * f1['base']:.2f}", f"{100 * f1['new']:.2f}", DROP]
    cells += [f"[{100 * f1['low']:+.2f},", f"{100 * f1['high']:+.2f}]"]
    cells += [f"{f1['p']:.4f}", f"{100 * f1['detectable']:.2f}"]
    assert rows["joint F1"] == cells
    assert (made["protocol"], made["resamples"], made["seed"]) == ("published", 999, 0)
    assert (made["synthetic"], made["forced"]) == (False, False)
    assert (found["requests"], found["dialogues"]) == (80, 40)
    assert found["by_request"] == {"won": 0, "tied": 40, "lost": 40}
    assert "joint F1 of each request: 0 won, 40 tied, 40 lost; exact answers: 0 gained, 40 lost" in lines
    assert len(found["flips"]["lost"]) == 40
    shown = [line.removeprefix("  lost    ") for line in lines if line.startswith("  lost")]
    assert shown == [flip["show"] for flip in found["flips"]["lost"][:2]]
    assert "gate" not in made


def test_the_command_beside_a_flip_shows_that_request(f2r: Run) -> None:
    found = json.loads(f2r("compare", "前.jsonl", "后.jsonl", *FAST, "--json", "-").out)
    command = found["comparisons"][0]["flips"]["lost"][1]["show"]  # the second query of a dialogue
    assert command == "f2r show '后.jsonl' @3"
    ended = f2r("show", "后.jsonl", "@3")
    assert ended.code == 0
    assert "对话1开始了" in ended.out
    assert "query  问题1" in ended.out
    assert "utterances: 7 found, 2 missed, 0 too many" in ended.out


def test_several_systems_get_corrected_p_values(f2r: Run) -> None:
    ended = f2r("compare", "前.jsonl", "后.jsonl", "前.jsonl", *FAST)
    assert ended.out.count("p (Holm)") == 2
    made = json.loads(f2r("compare", "前.jsonl", "后.jsonl", "前.jsonl", *FAST, "--json", "-").out)
    ps = [one["differences"]["joint.f1"] for one in made["comparisons"]]
    assert [one["p_holm"] for one in ps] == [2 * ps[0]["p"], 1]
    gate = f2r("compare", "前.jsonl", "前.jsonl", "后.jsonl", "--gate", *FAST)
    assert gate.code == 1
    assert [line.split(":")[0] for line in gate.out.splitlines() if line.startswith("gate")] == [
        "gate passed",
        "gate failed",
    ]


def test_the_seed_is_told_and_decides(f2r: Run) -> None:
    compare = ("compare", "前.jsonl", "后.jsonl", *FAST, "--json", "-")
    default, same, other = (f2r(*compare, *seed).out for seed in ((), ("--seed", "0"), ("--seed", "1")))
    assert default == same != other


def test_markdown_is_for_a_job_summary(f2r: Run) -> None:
    ended = f2r("compare", "前.jsonl", "后.jsonl", "--gate", "--format", "github", *FAST)
    assert (ended.code, ended.err) == (1, "")
    lines = ended.out.splitlines()
    assert lines[0] == "### f2r gate failed: `后.jsonl` against `前.jsonl`"
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {8}
    assert table[2].startswith(f"| joint.f1 | 100.00 | 97.06 | {DROP} | [-")
    assert table[2].endswith(" | 1.00 | it dropped by more |")


def test_the_gate_is_in_the_json_too(f2r: Run) -> None:
    answered.write(Path("坏.jsonl"), *perfect(39), [GOLD, "无"])
    ended = f2r(
        "compare", "前.jsonl", "坏.jsonl", "--gate", "--max-drop", "joint.f1=9", "--json", "-", *FAST
    )
    assert ended.code == 1
    made = json.loads(ended.out)
    gate = made["comparisons"][0]["gate"]
    assert made["gate"] == {"passed": False}
    assert gate["risen"] == {"malformed": {"base": 0, "new": 1}}
    assert [(c["metric"], c["margin"], c["passed"]) for c in gate["checks"]] == [
        ("joint.f1", 0.09, True)
    ]
    text = f2r("compare", "前.jsonl", "坏.jsonl", "--gate", "--max-drop", "joint.f1=9", *FAST).out
    assert "  malformed: 0 before, 1 now\n" in text
    assert "  failures: base none; new 1 malformed\n" in text


def test_json_goes_to_a_file_beside_what_is_printed(f2r: Run) -> None:
    printed = f2r("compare", "前.jsonl", "后.jsonl", *FAST).out
    assert f2r("compare", "前.jsonl", "后.jsonl", *FAST, "--json", "比较.json").out == printed
    stored = json.loads(Path("比较.json").read_text(encoding="utf-8"))
    assert stored == json.loads(f2r("compare", "前.jsonl", "后.jsonl", *FAST, "--json", "-").out)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("前.jsonl",), "NEW"),
        (("前.jsonl", "没有.jsonl"), "没有.jsonl"),
        (("前.jsonl", "."), "run.json"),
        (("前.jsonl", "后.jsonl", "--gate", "--max-drop", "f1=1"), "joint.f1"),
        (("前.jsonl", "后.jsonl", "--gate", "--max-drop", "joint.f1"), "joint.f1=1.0"),
        (("前.jsonl", "后.jsonl", "--max-drop", "joint.f1=1"), "--max-drop is for --gate"),
        (("前.jsonl", "后.jsonl", "--format", "github"), "--format is for --gate"),
        (("前.jsonl", "后.jsonl", "--json", "前.jsonl"), "--json is a file"),
        (("前.jsonl", "后.jsonl", "--resamples", "10"), "199"),
        (("前.jsonl", "运行"), "前.jsonl goes by the published protocol, 运行"),
    ],
)
def test_wrong_usage_is_one_line(f2r: Run, chats: Path, args: tuple[str, ...], said: str) -> None:
    evaluated(says(answer()), chats, Path("runs")).path.rename("运行")
    before = Path("前.jsonl").read_bytes()
    assert said in f2r("compare", *args).complaint()
    assert Path("前.jsonl").read_bytes() == before


def test_runs_of_several_models_are_compared_and_guarded_by_a_baseline(
    f2r: Run, small_mini: Path
) -> None:
    evaluate = ("eval", "-m", "oracle", "bm25", "-t", "mini", "--quiet")
    assert f2r(*evaluate).code == 0
    names = ("mini-mldr/oracle-*", "mini-mldr/bm25-*", "mini-wechat/oracle-*")
    oracle, bm25, other = (next(Path("runs").glob(name)) for name in names)
    ended = f2r("baseline", oracle, "-o", "基线.json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "基线.json: oracle, 20 requests, strict protocol\n"
    assert f2r("compare", "基线.json", oracle, "--gate", *FAST).code == 0
    ended = f2r("compare", "基线.json", bm25, "--gate", *FAST)
    assert ended.code == 1
    assert f"gate failed: bm25 ({bm25}) against oracle (基线.json)" in ended.out
    assert "20 requests of 8 dialogues, synthetic, strict protocol" in ended.out
    f2r("compare", "基线.json", other, "--gate", *FAST).complaint()
    ended = f2r("compare", oracle, bm25, *FAST)
    assert ended.code == 0
    assert "models of different kinds" in ended.out
    [first, *_] = [line.split() for line in ended.out.splitlines() if line.startswith("  lost")]
    assert first[:4] == ["lost", "f2r", "show", str(bm25)]
    assert f2r(*first[2:]).code == 0


def test_a_baseline_of_a_bare_file_tells_its_failures(f2r: Run) -> None:
    answered.write(Path("坏.jsonl"), *perfect(2), ["无", MISSED])
    ended = f2r("baseline", "坏.jsonl", "-o", "基线.json")
    assert ended.out == "基线.json: 坏.jsonl, 6 requests, published protocol, 1 malformed\n"


def test_a_baseline_replaces_nothing_that_it_is_made_of(f2r: Run, chats: Path) -> None:
    run = evaluated(says(answer()), chats, Path("runs")).path
    before = {path: path.read_bytes() for path in run.iterdir()}
    for name in ("run.json", "answers.jsonl", "predictions.jsonl", "scores.json"):
        assert "--out" in f2r("baseline", run, "-o", run / name).complaint()
    assert "--out" in f2r("baseline", "前.jsonl", "-o", "前.jsonl").complaint()
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_the_workflow_in_the_docs_runs_commands_that_there_are() -> None:
    text = DOCS.read_text(encoding="utf-8")
    [block] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    [job] = yaml.safe_load(block)["jobs"].values()
    lines = [step["run"] for step in job["steps"] if step.get("run", "").startswith("f2r ")]
    assert [line.split()[1] for line in lines] == ["eval", "compare"]
    for line in lines:
        _, name, *words = line.partition(" >> ")[0].split()
        cli.commands[name].make_context(name, words)
