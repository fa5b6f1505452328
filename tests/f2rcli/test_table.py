"""f2r table from the command line."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from handmade import answer, evaluated
from tabled import right, row, says, seeds

Run = Callable[..., Any]
ONE = answer([2])
LAYOUTS = ("main", "modality", "length", "ablation", "failures")
FORMATS = ("rich", "latex", "markdown", "csv", "json")


@pytest.fixture
def runs(chats: Path) -> list[Path]:
    models = {"右": right, "=1": ONE}
    made = [evaluated(says(m), chats, Path("runs"), row=row(name)).path for name, m in models.items()]
    return [*made, *(run.path for run in seeds(chats, Path("runs"), ONE, answer()))]


@pytest.mark.parametrize("form", FORMATS)
def test_every_layout_in_every_format_printed_or_to_a_file(
    f2r: Run, runs: list[Path], form: str
) -> None:
    for layout in LAYOUTS:
        ended = f2r("table", "--layout", layout, "--format", form)
        assert ended.code == 0
        assert "\x1b" not in ended.out
        assert all(name in ended.out for name in ("右", "=1", "抽签", "聊天"))
        assert bool(ended.err) == (form == "csv")  # the notes, which are no part of the data
        assert "3 requests, strict protocol" in (ended.err if form == "csv" else ended.out)
        if form == "json":
            assert json.loads(ended.out)["layout"] == layout
        if form == "csv":
            lines = list(csv.DictReader(StringIO(ended.out)))
            assert {line["model"] for line in lines} == {"右", "'=1", "抽签"}
    written = f2r("table", "--layout", layout, "--format", form, "-o", "表")
    assert (written.code, written.out) == (0, "")
    assert Path("表").read_text(encoding="utf-8") == ended.out


def test_a_file_is_left_alone_where_something_is_wrong(f2r: Run, runs: list[Path]) -> None:
    Path("表").write_text("以前", encoding="utf-8")
    assert "there are 右, =1, 抽签" in f2r("table", "--against", "没有", "-o", "表").complaint()
    assert Path("表").read_text(encoding="utf-8") == "以前"
    before = (runs[0] / "scores.json").read_bytes()
    assert "run folder" in f2r("table", "-o", runs[0] / "scores.json").complaint()
    assert (runs[0] / "scores.json").read_bytes() == before
    assert "没有: no such folder" in f2r("table", "-o", "没有/表").complaint()


def test_against_marks_and_says_what_the_mark_means(f2r: Run, runs: list[Path]) -> None:
    out = f2r("table", "--against", "右").out
    assert "* differs from 右: p ≤ 0.05" in out
    assert "not tested, a mean over several runs: 抽签" in out
    assert f2r("table", "--against", "").code == 2


@pytest.mark.parametrize("layout", ["length", "coherence", "failures"])
def test_against_is_for_layouts_that_are_tested(f2r: Run, layout: str) -> None:
    complaint = f2r("table", "--layout", layout, "--against", "右").complaint()
    assert "main, modality, ablation" in complaint


def test_folding_by_the_users_word(f2r: Run, runs: list[Path]) -> None:
    ended = f2r("table", "--fold", "都=[右=]*")
    [line] = [line for line in ended.out.splitlines() if line.startswith("都 ")]
    assert line.count("±") == 4
    assert "folded by name: 右, =1" in ended.out
    assert "0 rows match" in f2r("table", "--fold", "都=无").complaint()
