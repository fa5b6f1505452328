"""Tables for programs: full precision, one line a value, nothing that a spreadsheet would run."""

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from handmade import answer, evaluated, scores
from tabled import many, row, says, seeds

from f2rcli.results.formats.values import as_csv, as_json
from f2rcli.results.layouts import Layout, lay_out
from f2rcli.results.rows import Table
from f2rcli.results.significance import compare_rows
from f2rcli.results.tables import build_table

ONE, THREE = answer([2]), answer([2, 3, 4], [0])


def read(table: Table, layout: Layout = "main") -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(as_csv(lay_out(table, layout)))))


def test_one_line_a_value_at_full_precision(chats: Path, out: Path) -> None:
    run = evaluated(says(THREE), chats, out, row=row("模型", "SFT"))
    lines = read(build_table([run]))
    assert [line["metric"] for line in lines] == [
        f"joint.{m}" for m in ("precision", "recall", "f1", "mcc")
    ]
    stored = scores(run)["strict"]["joint"]
    assert {line["metric"]: float(line["value"]) for line in lines} == {
        f"joint.{name}": value for name, value in stored.items()
    }
    assert lines[2] == {
        "model": "模型",
        "trained": "SFT",
        "kind": "run",
        "task": "聊天",
        "protocol": "strict",
        "synthetic": "False",
        "metric": "joint.f1",
        "turns": "",
        "value": repr(stored["f1"]),
        "sd": "",
        "runs": "1",
        "requests": "3",
        "coverage": "1.0",
        "p_holm": "",
    }


def test_lengths_have_their_turns_and_requests(chats: Path, out: Path) -> None:
    lines = read(build_table([evaluated(says(THREE), chats, out)]), "length")
    assert [(line["metric"], line["turns"], line["requests"]) for line in lines] == [
        ("joint.f1", "", "3"),
        ("joint.f1", "<35", "3"),
        ("joint.f1", "35–65", "0"),
        ("joint.f1", ">65", "0"),
    ]
    assert [bool(line["value"]) for line in lines] == [True, True, False, False]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\n@x"])
def test_no_name_is_a_formula(chats: Path, out: Path, name: str) -> None:
    [line, *_] = read(build_table([evaluated(says(ONE), chats, out, row=row(name, name))]))
    assert (line["model"], line["trained"]) == (f"'{name}", f"'{name}")


def test_negative_numbers_stay_numbers(chats: Path, out: Path) -> None:
    runs = [
        evaluated(says(text), chats, out, row=row(name)) for name, text in (("全", THREE), ("少", ONE))
    ]
    [line] = [
        line
        for line in read(build_table(runs), "ablation")
        if line["metric"] == "joint.f1.difference"  # of the full model there is none
    ]
    assert line["model"] == "少"
    assert float(line["value"]) == pytest.approx(1 / 7 - 28 / 65)


def test_json_has_rows_runs_scores_values_and_notes(chats: Path, out: Path) -> None:
    runs = seeds(chats, out, ONE, THREE)
    made: dict[str, Any] = json.loads(as_json(lay_out(build_table(runs), "main"), None))
    assert made["layout"] == "main"
    assert made["tasks"] == {"聊天": {"protocol": "strict", "average": "micro", "synthetic": False}}
    [folded] = made["rows"]
    assert [(run["path"], run["seed"]) for run in folded["runs"]["聊天"]] == [
        (str(run.path), seed) for seed, run in enumerate(runs)
    ]
    assert folded["runs"]["聊天"][0]["requests_digest"] == runs[0].record()["identity"]["data"]
    assert folded["sd"]["聊天"]["joint"]["f1"] == pytest.approx(131 / 455 / 2**0.5)
    [value] = [value for value in made["values"] if value["metric"] == "joint.f1"]
    assert (value["value"], value["runs"]) == (pytest.approx(261 / 910), 2)
    assert made["significance"] is None
    assert "2 seeds (0, 1)" in made["notes"][-1]


def test_json_has_the_tests(out: Path, tmp_path: Path) -> None:
    task = many(tmp_path / "许多", 8)
    models = {"基": THREE, "坏": answer([2], [0])}
    table = build_table([evaluated(says(m), task, out, row=row(name)) for name, m in models.items()])
    tests = compare_rows(table, "基")
    made = json.loads(as_json(lay_out(table, "main", tests), tests))
    [one] = made["significance"]["comparisons"]
    assert (one["model"], one["task"], one["requests"], one["dialogues"]) == ("坏", "聊天", 8, 8)
    recall = one["differences"]["utterance.recall"]
    assert recall["difference"] == pytest.approx(-2 / 3)
    values = {(v["model"], v["metric"]): v["p_holm"] for v in made["values"]}
    assert values["坏", "joint.f1"] == one["differences"]["joint.f1"]["p"]
    assert values["基", "joint.f1"] is None
