"""How tables look: in a pipe, on a terminal, with and without failures."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from handmade import Scripted, answer, evaluated, says, scores
from rich.console import Console

from f2rcli.adapters.registry import ModelRow
from f2rcli.results.cells import percent
from f2rcli.results.layouts import overview
from f2rcli.results.render import console, print_rows, print_scores, print_sheet
from f2rcli.results.rows import Table
from f2rcli.results.tables import build_table, find_runs
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.predictions import read_predictions
from f2rcli.tasks.scoring import Scorer
from f2rcli.tasks.types import Failure, Request

BOX = set(map(chr, range(0x2500, 0x2580)))
RIGHT = {"露营:0": answer([2, 3, 4], [0]), "露营:1": answer([7], [1]), "露营:2": answer()}
ALL_PARTS = ("joint", "utterance", "image")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tester's terminal asks for is no part of a test."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def right(request: Request) -> str:
    return RIGHT[request.id]


def piped(table: Table, layout: str = "main") -> str:
    text = StringIO()
    print_sheet(overview(table, layout), console(text))
    return text.getvalue()


def on_terminal(table: Table, width: int) -> str:
    text = StringIO()
    terminal = Console(
        file=text, force_terminal=True, width=width, highlight=False, color_system="truecolor"
    )
    print_sheet(overview(table, "modality"), terminal)
    return text.getvalue()


def row_of(text: str, model: str) -> str:
    [line] = [line for line in text.splitlines() if line.startswith(model)]
    return line


def test_a_pipe_gets_plain_text(chats: Path, out: Path) -> None:
    text = piped(build_table([evaluated(Scripted(right), chats, out)]), "modality")
    assert "\x1b" not in text
    assert not BOX & set(text)
    rows = [line for line in text.splitlines() if line.startswith("手写 模型")]
    assert [row.split()[2:] for row in rows] == [["own", *["100.00"] * 4]] * 3


def test_a_terminal_gets_colours_and_the_same_numbers(chats: Path, out: Path) -> None:
    reference = ModelRow("参照", "random", "reference")
    text = on_terminal(build_table([evaluated(Scripted(right), chats, out, row=reference)]), 100)
    assert "\x1b[2m" in text  # reference rows are dimmed
    assert text.count("100.00") == 12


@pytest.mark.parametrize("width", [70, 100, 160])
def test_many_tasks_are_set_below_each_other_where_the_terminal_is_narrow(
    chats: Path, out: Path, width: int
) -> None:
    task = load_task(str(chats))
    runs = [evaluated(says(answer()), replace(task, name=f"task-{i}"), out) for i in range(5)]
    text = StringIO()
    terminal = Console(file=text, force_terminal=True, width=width, color_system=None, highlight=False)
    table = build_table(runs)
    print_sheet(overview(table), terminal)
    drawn = text.getvalue().splitlines()
    assert max(map(len, drawn)) <= width
    for i in range(5):
        assert sum(f"task-{i}" in line for line in drawn) == 2  # the column and the note


def test_failures_and_coverage_are_shown_where_there_are_any(chats: Path, out: Path) -> None:
    said = {"露营:0": RIGHT["露营:0"], "露营:1": Failure("error", "超时"), "露营:2": "不知道"}
    runs = [
        evaluated(Scripted(lambda request: said[request.id]), chats, out),
        evaluated(Scripted(right), chats, out, row=ModelRow("全对", "random", "own")),
    ]
    text = piped(build_table(runs))
    line = row_of(text, "手写 模型")
    assert "coverage 66.67 %" in line
    assert "1 error" in line
    assert "1 malformed" in line
    assert "refused" not in line
    assert "truncated" not in line
    assert row_of(text, "全对").split()[-1] == "100.00"


def test_the_score_over_the_answered_stands_beside_the_coverage(chats: Path, out: Path) -> None:
    said = {**RIGHT, "露营:1": Failure("refused", "不行")}
    text = piped(build_table([evaluated(Scripted(lambda r: said[r.id]), chats, out)]), "modality")
    rows = [line for line in text.splitlines() if line.startswith("手写 模型")]
    assert all("coverage 66.67 % (F1 of the answered 100.00)" in row for row in rows)
    assert not any(row.split()[5] == "100.00" for row in rows)


@pytest.mark.parametrize("width", [80, 120])
def test_numbers_stay_whole_beside_failures_on_a_terminal(chats: Path, out: Path, width: int) -> None:
    said = {**RIGHT, "露营:1": Failure("error", "超时")}
    task = load_task(str(chats))
    for name in ("wechat", "mldr", "mini-wechat"):
        run = evaluated(Scripted(lambda r: said[r.id]), replace(task, name=name), out / name)
    table = build_table(find_runs([out]))
    numbers = [percent(value) for value in scores(run)["strict"]["joint"].values()]
    text = on_terminal(table, width)
    assert all(text.count(number) >= 3 for number in numbers)


def test_ids_that_do_not_exist_are_counted(chats: Path, out: Path) -> None:
    text = piped(build_table([evaluated(says(answer([2, 999], [5])), chats, out)]))
    assert "6 ids out of range" in row_of(text, "手写 模型")


def test_without_failures_there_is_no_column_for_them(chats: Path, out: Path) -> None:
    text = piped(build_table([evaluated(Scripted(right), chats, out)]))
    heads = text.splitlines()[:2]
    assert heads[0].split() == ["聊天"]
    assert heads[1].split()[-4:] == ["P", "R", "F1", "MCC"]
    assert "coverage" not in text


def test_the_notes_say_how_many_requests_and_which_protocol(chats: Path, out: Path) -> None:
    text = piped(build_table([evaluated(says(answer()), chats, out)]))
    [note] = [line for line in text.splitlines() if line.startswith("聊天:")]
    assert "3 requests" in note
    assert "strict protocol" in note
    assert "micro average" in note


def test_published_rows_have_an_f1_and_no_more(chats: Path, out: Path) -> None:
    task = replace(load_task(str(chats)), name="wechat", protocol="published", named=True)
    text = piped(build_table([evaluated(says(answer()), task, out)]), "modality")
    rows = [line for line in text.splitlines() if line.startswith("F2RVLM") and "†" in line]
    assert [row.split()[-4:] for row in rows] == [["–", "–", "62.07", "–"]]


def test_names_are_printed_as_they_are(chats: Path, out: Path) -> None:
    """Not as markup, emoji codes or links."""
    name = "[bold]模型[/bold] :smile: [link=x]"
    run = evaluated(says(answer()), chats, out, row=ModelRow(name, "random", "own"))
    assert name in piped(build_table([run]))
    text = StringIO()
    print_rows(["名字"], [["[red]红[/red]"]], console(text))
    assert "[red]红[/red]" in text.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (0.0, "0.00"), (0.12345, "12.35"), (1, "100.00")]
)
def test_numbers_are_in_percent(value: float | None, shown: str) -> None:
    assert percent(value) == shown


def printed_scores(path: Path) -> str:
    scorer, text = Scorer("strict"), StringIO()
    for prediction in read_predictions(path):
        scorer.add(prediction)
    print_scores({"文件": scorer.result()}, console(text))
    return text.getvalue()


def test_the_scores_of_a_file_are_printed_with_what_went_wrong(chats: Path, out: Path) -> None:
    said = {**RIGHT, "露营:1": "不知道"}
    run = evaluated(Scripted(lambda request: said[request.id]), chats, out)
    text = printed_scores(run.path / "predictions.jsonl")
    assert "\x1b" not in text
    assert not BOX & set(text)
    for part in ALL_PARTS:
        assert part in text
    assert "1 malformed" in text
    assert "3 samples, strict protocol, micro average" in text


def test_the_scores_of_a_file_without_failures_have_no_column_for_them(chats: Path, out: Path) -> None:
    run = evaluated(Scripted(right), chats, out)
    head = printed_scores(run.path / "predictions.jsonl").splitlines()[0]
    assert head.split()[-4:] == ["P", "R", "F1", "MCC"]
