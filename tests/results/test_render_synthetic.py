"""Synthetic data is called so wherever its numbers stand, and scores by share are a table."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import handmade
import pytest
from handmade import Scripted, answer, evaluated, scores
from rich.console import Console

from f2rcli.adapters.registry import ModelRow
from f2rcli.results.cells import percent
from f2rcli.results.layouts import overview
from f2rcli.results.render import console, print_scores, print_shares, print_sheet
from f2rcli.results.rows import Table
from f2rcli.results.tables import build_table, find_runs
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.predictions import read_predictions
from f2rcli.tasks.scoring import Scorer, score_shares
from f2rcli.tasks.types import Request

RIGHT = {"露营:0": answer([2, 3, 4], [0]), "露营:1": answer([7], [1]), "露营:2": answer()}


def right(request: Request) -> str:
    return RIGHT[request.id]


def marked(folder: Path, name: str, *shares: str) -> Path:
    """The chats with three queries, which name these shares."""
    path = handmade.write_chats(folder / name, handmade.chat() | {"shares": list(shares)})
    return path.rename(path.with_name(f"{name}.json"))


def piped(table: Table) -> str:
    text = StringIO()
    print_sheet(overview(table, "modality"), console(text))
    return text.getvalue()


def printed_scores(path: Path) -> str:
    scorer, text = Scorer("strict"), StringIO()
    for prediction in read_predictions(path / "predictions.jsonl"):
        scorer.add(prediction)
    print_scores({"文件": scorer.result()}, console(text))
    return text.getvalue()


def test_synthetic_data_is_called_so_above_the_numbers_and_in_the_notes(
    out: Path, tmp_path: Path
) -> None:
    tasks = (marked(tmp_path, "真的"), marked(tmp_path, "造的", "synthetic", "zh"))
    runs = [evaluated(Scripted(right), task, out) for task in tasks]
    lines = piped(build_table(runs)).splitlines()
    assert [line.split() for line in lines[:2]] == [["造的"], ["真的", "(synthetic)"]]
    assert lines[2].split()[-8:] == ["P", "R", "F1", "MCC"] * 2
    assert "造的: 3 requests, synthetic, strict protocol, micro average" in lines
    assert "真的: 3 requests, strict protocol, micro average" in lines
    assert "\n".join(lines).count("synthetic") == 3 + 1  # three tables, one note
    assert printed_scores(runs[1].path).endswith(
        "文件: 3 samples, synthetic, strict protocol, micro average\n"
    )


def test_nothing_else_is_called_synthetic(out: Path, tmp_path: Path) -> None:
    run = evaluated(Scripted(right), marked(tmp_path, "真的", "zh"), out)
    assert "synthetic" not in piped(build_table([run]))
    assert "synthetic" not in printed_scores(run.path)
    assert "synthetic" not in (run.path / "scores.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("failing", [False, True])
def test_two_synthetic_tasks_fit_with_names_and_numbers_whole(
    out: Path, tmp_path: Path, failing: bool
) -> None:
    """Each below the other where they do not fit beside each other."""
    said = {**RIGHT, "露营:1": "不知道"} if failing else {**RIGHT, "露营:1": answer([7])}
    task = load_task(str(marked(tmp_path, "造的", "synthetic")))
    for name in ("mini-mldr", "mini-wechat"):
        for model in ("f2rvlm-nano", "oracle"):
            row = ModelRow(model, "random", "own")
            run = evaluated(Scripted(lambda r: said[r.id]), replace(task, name=name), out, row=row)
    numbers = [percent(value) for value in scores(run)["strict"]["joint"].values()]
    for width in (80, 100, 120, 160):
        text = StringIO()
        terminal = Console(file=text, force_terminal=True, width=width, color_system=None)
        print_sheet(overview(build_table(find_runs([out]))), terminal)
        drawn = text.getvalue()
        assert all(drawn.count(number) >= 4 for number in numbers), drawn  # two models on two tasks
        assert drawn.count("(synthetic)") == 2
        assert drawn.count("f2rvlm-nano") == drawn.count("oracle") > 0, drawn
        assert max(map(len, drawn.splitlines())) <= width


def test_shares_are_printed_a_line_each(out: Path, tmp_path: Path) -> None:
    said = {**RIGHT, "露营:1": answer([7]), "露营:2": answer([0])}
    run = evaluated(
        Scripted(lambda request: said[request.id]), marked(tmp_path, "造的", "zh", "无"), out
    )
    predictions = list(read_predictions(run.path / "predictions.jsonl"))
    text = StringIO()
    print_shares(score_shares(predictions, "strict"), "micro", console(text))
    head, *lines = text.getvalue().splitlines()
    headers = ["share", "requests", "P", "R", "F1", "MCC", "utterance F1", "image F1", "exact"]
    assert re.split(" {2,}", head) == headers
    # Utterances: TP 3 + 1, FP 1, so P 4/5, R 1, F1 8/9; images: TP 1, FN 1, so P 1, R 1/2, F1 2/3.
    # Only the first answer is exact.
    [zh, none] = [line.split() for line in lines]
    assert zh[:5] == ["zh", "3", "90.00", "75.00", "77.78"]
    assert zh[6:] == ["88.89", "66.67", "33.33"]
    assert none == ["无", *zh[1:]]


def test_shares_by_the_average_that_is_asked_for(out: Path, tmp_path: Path) -> None:
    said = {**RIGHT, "露营:0": answer([2])}
    run = evaluated(Scripted(lambda request: said[request.id]), marked(tmp_path, "造的", "zh"), out)
    shares = score_shares(read_predictions(run.path / "predictions.jsonl"), "strict")
    # Utterances: TP 2, FN 2; images: TP 1, FN 1. Of the three samples one has (1/2 + 0) / 2, two have 1.
    for average, f1 in (("micro", "66.67"), ("macro", "75.00")):
        text = StringIO()
        print_shares(shares, average, console(text))
        assert text.getvalue().splitlines()[1].split()[4] == f1
