"""f2r report: a page from runs and files, and one line where that cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import answered
import pytest
from answered import dropped, perfect
from handmade import evaluated, says

from f2rcli.main import cli

Run = Callable[..., Any]


def test_runs_become_a_page(f2r: Run, chats: Path) -> None:
    evaluated(says("看不懂"), chats, Path("runs"))
    ended = f2r("report", "-o", "页.html")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("页.html: 0.")
    page = Path("页.html").read_text(encoding="utf-8")
    assert "3 malformed" in page
    assert "帐篷在哪里" in page
    before = page
    assert f2r("report", "runs", "-o", "页.html").code == 0
    assert Path("页.html").read_text(encoding="utf-8") == before


def test_bare_files_are_compared_with_the_first_or_a_named_one(f2r: Run) -> None:
    """As `f2r compare` puts it: joint F1 1/34 = 2.94 points apart."""
    files = answered.write(Path("好.jsonl"), *perfect(8)), answered.write(Path("差.jsonl"), *dropped(8))
    assert f2r("report", *files, "-o", "页.html").code == 0
    page = Path("页.html").read_text(encoding="utf-8")
    assert "Difference from 好.jsonl, points" in page
    assert "<td>-2.94</td>" in page
    assert f2r("report", *files, "-o", "页.html", "--against", "差.jsonl").code == 0
    page = Path("页.html").read_text(encoding="utf-8")
    assert "Difference from 差.jsonl, points" in page
    assert "<td>+2.94</td>" in page


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["没有", "-o", "页.html"], "没有: no run folder here"),
        (["好.jsonl", "-o", "没有/页.html"], "没有: no such folder"),
        (["好.jsonl", "-o", "."], ".: is a folder"),
        (["好.jsonl", "-o", "好.jsonl"], "--out is a file that is to be shown"),
        (["好.jsonl", "-o", "页.html", "--against", "谁"], "no run is called '谁'; there are 好.jsonl"),
        (["空.jsonl", "-o", "页.html"], "空.jsonl:1 (record 0): the file is empty"),
        (["基线.json", "-o", "页.html"], "基线.json: a baseline has no dialogues to show; give its run"),
        (["好.jsonl"], "Missing option '-o'"),
    ],
)
def test_bad_input_is_one_line(f2r: Run, args: list[str], told: str) -> None:
    answered.write(Path("好.jsonl"), *perfect(2))
    Path("空.jsonl").write_text("")
    assert f2r("baseline", "好.jsonl", "-o", "基线.json").code == 0
    complaint = f2r("report", *args).complaint()
    assert told.casefold() in complaint.casefold()
    assert not Path("页.html").exists()


def test_a_run_is_not_written_over(f2r: Run, chats: Path) -> None:
    run = evaluated(says("看不懂"), chats, Path("runs"))
    before = (run.path / "answers.jsonl").read_bytes()
    complaint = f2r("report", "-o", run.path / "answers.jsonl").complaint()
    assert complaint.startswith("--out is a file that is to be shown")
    assert (run.path / "answers.jsonl").read_bytes() == before


def test_readme_and_help_know_it() -> None:
    readme = Path(__file__).resolve().parents[2] / "README.md"
    assert "f2r report" in readme.read_text(encoding="utf-8")
    assert "report" in cli.commands
