"""Runs that were ended before everything was asked, and runs without any answer."""

import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import ROW, Scripted, answer, evaluated, lines
from rich.console import Console

from f2rcli.results.baseline import write_baseline
from f2rcli.results.compare import compare, failures_of
from f2rcli.results.formats.values import as_json
from f2rcli.results.gate import judge
from f2rcli.results.layouts import lay_out, overview
from f2rcli.results.render import print_scores
from f2rcli.results.report.page import render_page
from f2rcli.results.report.sections import read_sections
from f2rcli.results.rows import Table
from f2rcli.results.runs import RunFolder
from f2rcli.results.show import show_prediction
from f2rcli.results.sides import read_side
from f2rcli.results.significance import compare_rows
from f2rcli.results.tables import build_table, read_scores
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.merging import merge_predictions
from f2rcli.tasks.predictions import read_predictions
from f2rcli.tasks.scoring import PROTOCOLS, score
from f2rcli.tasks.types import Failure

GOLD = {"露营:0": answer([2, 3, 4], [0]), "露营:1": answer([7], [1]), "露营:2": answer()}


def ended_after(number: int, chats: Path, out: Path, **said: str | Failure) -> RunFolder:
    """A run that was ended after so many requests; it finds everything."""

    def says(request: Any) -> str | Failure:
        if len(retriever.asked) > number:
            raise KeyboardInterrupt
        return said.get(request.id, GOLD.get(request.id, answer()))

    retriever = Scripted(says, config=number)
    if number < 3:
        with pytest.raises(KeyboardInterrupt):
            evaluated(retriever, chats, out)
        [record] = [path for path in out.rglob("run.json") if is_of(path, number)]
        return RunFolder(record.parent)
    return evaluated(retriever, chats, out)


def is_of(record: Path, config: int) -> bool:
    identity = json.loads(record.read_text(encoding="utf-8"))["identity"]
    return bool(identity["model"]["config"] == config)


@pytest.fixture
def half(chats: Path, out: Path) -> RunFolder:
    return ended_after(1, chats, out)


@pytest.fixture
def none(chats: Path, out: Path) -> RunFolder:
    return ended_after(0, chats, out)


@pytest.fixture
def whole(chats: Path, out: Path) -> RunFolder:
    return ended_after(3, chats, out)


def row_of(table: Table, run: RunFolder) -> int:
    return next(i for i, row in enumerate(table.rows) if run in row.runs["聊天"])


def test_what_was_not_asked_is_no_failure(half: RunFolder) -> None:
    for protocol in PROTOCOLS:
        scores = read_scores(half)[protocol]
        assert not any(scores["failures"].values())
        assert (scores["unasked"], scores["samples"]) == (2, 3)
        assert scores["coverage"] == pytest.approx(1 / 3)
        assert scores["answered"]["joint"]["f1"] == 1
    marks = [line["f2r"].get("unasked") for line in lines(half.path / "predictions.jsonl")]
    assert marks == [None, True, True]
    failures = [line["f2r"]["failures"] for line in lines(half.path / "predictions.jsonl")]
    assert failures == [{}, {}, {}]
    scored = score(read_predictions(half.path / "predictions.jsonl"))
    assert {name: scorer.exact for name, scorer in scored.items()} == dict.fromkeys(PROTOCOLS, 1 / 3)


def test_a_dialogue_of_which_a_slice_was_not_asked_is_not_asked(tmp_path: Path, out: Path) -> None:
    chat = handmade.chat("露营", turns=30, queries={"帐篷": [2, 20]}, pictures=())
    task = handmade.write_chats(tmp_path / "长", chat)

    def says(request: Any) -> str:
        if request.id.endswith("_1"):
            raise KeyboardInterrupt
        return answer([2])

    with pytest.raises(KeyboardInterrupt):
        evaluated(Scripted(says, max_turns=15), task, out)
    run = RunFolder(next(out.rglob("run.json")).parent)
    scores = read_scores(run)["strict"]
    assert (scores["unasked"], scores["coverage"], scores["failures"]["error"]) == (1, 0, 0)
    [line] = lines(run.path / "predictions.jsonl")
    assert (line["response"], line["f2r"]["unasked"]) == ("", True)


def test_merging_slices_of_others_keeps_the_mark(tmp_path: Path, out: Path) -> None:
    chat = handmade.chat("露营_split_0", turns=4, queries={"帐篷": [2]}, pictures=())
    with pytest.raises(KeyboardInterrupt):
        evaluated(Scripted(interrupt), handmade.write_chats(tmp_path / "片", chat), out)
    run = RunFolder(next(out.rglob("run.json")).parent)
    read_scores(run)
    whole = handmade.write_chats(tmp_path / "整", chat | {"dialogue_id": "露营"})
    [merged] = merge_predictions(run.path / "predictions.jsonl", load_task(str(whole)))
    assert (merged["f2r"]["failures"], merged["f2r"]["unasked"]) == ({}, True)


def interrupt(request: Any) -> str:
    raise KeyboardInterrupt


def test_tables_mark_it_and_it_does_not_compete(half: RunFolder, whole: RunFolder) -> None:
    table = build_table([half, whole])
    sheet = lay_out(table, "main")
    unfinished, finished = (
        sheet.panels[0].lines[row_of(table, run)].cells["聊天"] for run in (half, whole)
    )
    assert unfinished[-1].text == "coverage 33.33 % (F1 of the answered 100.00), 2 not asked"
    assert unfinished[2].value != finished[2].value
    assert [cell.place for cell in (*unfinished, *finished)] == [0] * 5 + [0] * 5
    note = f"was interrupted, 2 of 3 requests were not asked: {half.path}"
    assert any(note in line for line in table.notes)
    failures = lay_out(table, "failures").panels[0]
    counted = {
        column.header: cell.text
        for column, cell in zip(
            failures.groups["聊天"], failures.lines[row_of(table, half)].cells["聊天"], strict=True
        )
    }
    assert (counted["error"], counted["not asked"], counted["coverage, %"]) == ("0", "2", "33.33")
    assert failures.lines[row_of(table, whole)].cells["聊天"][5].text == "0"
    done = lay_out(build_table([whole]), "failures").panels[0]
    assert "not asked" not in [column.header for column in done.groups["聊天"]]


def test_it_is_not_tested_and_has_no_difference(half: RunFolder, whole: RunFolder) -> None:
    table = build_table([whole, half])
    first, second = (row.model for row in table.rows)
    for tests in (None, compare_rows(table, first)):
        panel = lay_out(table, "ablation", tests).panels[0]
        [differences] = [
            [cell.value for cell in line.cells["聊天"][1::2]]
            for line in panel.lines
            if line.row.model == second
        ]
        assert differences == [None, None, None]
    assert (
        f"not tested, unfinished, not every request was asked: {second}"
        in compare_rows(table, first).notes
    )
    with pytest.raises(InputError, match="cannot be tested against: unfinished"):
        compare_rows(table, second)


def test_a_comparison_says_so_of_either_side(half: RunFolder, whole: RunFolder) -> None:
    said = f"{half.path / 'predictions.jsonl'}: 2 of 3 requests were not asked"
    for sides in ((half, whole), (whole, half)):
        found = compare(*(read_side(run.path) for run in sides), resamples=199)
        assert said in (*found.base.notes, *found.new.notes)
    counted = failures_of(s.outcomes["strict"] for s in read_side(half.path).samples)
    assert (counted["error"], counted["unanswered"]) == (0, 2)


@pytest.mark.parametrize("bare", [False, True])
def test_a_gate_and_a_baseline_refuse_it(
    half: RunFolder, whole: RunFolder, tmp_path: Path, bare: bool
) -> None:
    place = half.path
    read_scores(half)
    if bare:
        place = Path(shutil.copy(half.path / "predictions.jsonl", tmp_path / "拷贝.jsonl"))
    unfinished, finished = read_side(place), read_side(whole.path)
    for sides in ((unfinished, finished), (finished, unfinished)):
        found = compare(*sides, protocol="strict", resamples=199)
        with pytest.raises(InputError, match="unfinished: 2 of 3 requests were not asked"):
            judge(found, {"joint.f1": 1.0})
    with pytest.raises(InputError, match="unfinished"):
        write_baseline(unfinished, tmp_path / "基线.json")
    assert not (tmp_path / "基线.json").exists()


@pytest.mark.parametrize("kind", ["not asked", "error"])
def test_nothing_answered_has_no_scores(
    kind: str, none: RunFolder, whole: RunFolder, chats: Path, out: Path
) -> None:
    """An F1 of nothing is none, and not 0.00 (which would beat a negative MCC)."""
    run = none
    if kind == "error":
        run = evaluated(Scripted(lambda request: Failure("error", "超时"), config="坏"), chats, out)
    table = build_table([run, whole])
    for layout in ("main", "modality", "length", "ablation"):
        for panel in lay_out(table, layout).panels:
            cells = panel.lines[0 if layout != "ablation" else row_of(table, run)].cells["聊天"]
            numbers = [cell for cell in cells if not cell.text.startswith("coverage")]
            assert {cell.text for cell in numbers} <= {"–", ""}
            assert {(cell.value, cell.place) for cell in numbers} == {(None, 0)}
    made = json.loads(as_json(overview(table), None))
    values = [one["value"] for one in made["values"] if one["coverage"] == 0]
    assert set(values) == {None}
    remark = overview(table).panels[0].lines[0].cells["聊天"][-1].text
    assert remark == f"coverage 0.00 %, 3 {kind}"


def test_scores_of_a_file_without_answers_are_drawn_as_none(chats: Path, out: Path) -> None:
    run = evaluated(Scripted(lambda request: Failure("refused", "不")), chats, out)
    scores = handmade.scores(run)["strict"]
    assert scores["answered"] is None
    assert scores["joint"]["f1"] == 0  # an unanswered request is an empty answer, as in the release
    drawn = StringIO()
    print_scores({"文件": scores}, Console(file=drawn, width=200))
    assert drawn.getvalue().count("–") == 12
    assert "0.00  " not in drawn.getvalue()


def test_a_page_says_so(half: RunFolder, whole: RunFolder) -> None:
    page = render_page(*read_sections([half.path, whole.path]))
    assert "2 not asked" in page
    assert '["not asked",""]' in page
    assert "No request failed" not in page


def test_it_is_shown_as_not_asked(half: RunFolder) -> None:
    read_scores(half)
    shown = StringIO()
    line = lines(half.path / "predictions.jsonl")[1]
    show_prediction(line, "strict", Console(file=shown, width=200))
    assert "not asked: its run was ended before" in shown.getvalue()
    assert "failures" not in shown.getvalue()


def test_it_goes_on_and_is_then_like_any_other(half: RunFolder, chats: Path, out: Path) -> None:
    again = evaluated(Scripted(lambda request: GOLD[request.id], config=1), chats, out, row=ROW)
    assert again.path == half.path
    assert "unasked" not in handmade.scores(again)["strict"]
    assert build_table([again]).notes == []
