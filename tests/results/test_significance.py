"""Marks of significance: what is tested, how it is corrected, what is not tested and why."""

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import answer, evaluated
from tabled import many, row, says, seeds

from f2rcli.results.compare import compare
from f2rcli.results.layouts import lay_out
from f2rcli.results.rows import Table
from f2rcli.results.sides import read_side
from f2rcli.results.significance import compare_rows
from f2rcli.results.tables import build_table
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request

GOLD, MISSED = answer([2, 3, 4], [0]), answer([2, 3], [0])


def half(request: Request) -> str:
    """Misses one of three utterances in every other dialogue."""
    return MISSED if int(request.dialogue.id.removeprefix("对话")) % 2 else GOLD


def once(request: Request) -> str:
    """Misses one utterance in one dialogue of them all."""
    return MISSED if request.dialogue.id == "对话0" else GOLD


@pytest.fixture
def table(out: Path, tmp_path: Path) -> Table:
    """基 finds everything; 半 is clearly worse, 一 hardly, 同 the same."""
    task = many(tmp_path / "许多", 20)
    models = {"基": GOLD, "半": half, "一": once, "同": GOLD}
    return build_table([evaluated(says(m), task, out, row=row(name)) for name, m in models.items()])


def test_a_mark_where_the_corrected_p_is_small(table: Table) -> None:
    tests = compare_rows(table, "基")
    panel = lay_out(table, "main", tests).panels[0]
    marked = {line.row.model: [c.significant for c in line.cells["聊天"]] for line in panel.lines}
    # 半 misses 10 of 60 utterances in half of the dialogues, and nothing too much: P is 1 everywhere.
    assert marked == {
        "基": [False] * 4,
        "半": [False, True, True, True],
        "一": [False] * 4,
        "同": [False] * 4,
    }


def test_p_is_that_of_the_comparison_times_the_rows(table: Table) -> None:
    tests = compare_rows(table, "基")
    sides = [read_side(r.runs["聊天"][0].path) for r in table.rows]
    alone = compare(sides[0], sides[1], protocol="strict").differences["joint.f1"]
    assert tests.p(table.rows[1], "聊天", "joint.f1") == pytest.approx(3 * alone.p)  # the smallest
    assert tests.p(table.rows[0], "聊天", "joint.f1") is None
    assert tests.notes == [
        "* differs from 基: p ≤ 0.05, two-sided, paired bootstrap over dialogues (10,000 resamples, "
        "seed 0), Holm-corrected for the rows compared (3 on 聊天), task by task and metric by metric"
    ]


def test_few_dialogues_have_no_mark(out: Path, tmp_path: Path) -> None:
    task = many(tmp_path / "少", 5)
    runs = [evaluated(says(m), task, out, row=row(n)) for n, m in (("基", GOLD), ("坏", answer()))]
    table = build_table(runs)
    tests = compare_rows(table, "基")
    assert tests.p(table.rows[1], "聊天", "joint.f1") == 1
    assert "聊天 has fewer than 6 dialogues: no difference on it can be significant" in tests.notes


def test_what_cannot_be_paired_is_named_without_a_mark(out: Path, tmp_path: Path) -> None:
    path = many(tmp_path / "许多", 6)
    task = replace(load_task(str(path)), name="wechat", protocol="published", named=True)
    runs = [evaluated(says(GOLD), task, out, row=row("基")), evaluated(says(half), task, out)]
    tests = compare_rows(table := build_table([*runs, *seeds_of(task, out)]), "基")
    assert set(tests.comparisons) == {("手写 模型", "wechat")}
    assert "not tested, a mean over several runs: 抽签" in tests.notes
    [published] = [note for note in tests.notes if "the answers are not known" in note]
    assert "F2RVLM (7B) †" in published
    marks = [c.p for line in lay_out(table, "main", tests).panels[0].lines for c in line.cells["wechat"]]
    assert sum(p is not None for p in marks) == 4
    assert "Holm-corrected for the rows compared (1 on wechat)" in tests.notes[0]


def seeds_of(task, out: Path) -> list:
    return seeds(task, out, GOLD, MISSED)


def test_a_task_that_the_row_was_not_asked_has_a_note(chats: Path, out: Path, tmp_path: Path) -> None:
    other = replace(load_task(str(many(tmp_path / "许多", 6))), name="别的")
    runs = [evaluated(says(GOLD), chats, out, row=row("基")), evaluated(says(GOLD), other, out)]
    tests = compare_rows(build_table(runs), "基")
    assert "not tested on 别的: 基 has no run on it" in tests.notes


def test_other_pictures_are_not_tested(chats: Path, out: Path) -> None:
    sees = says(GOLD)
    sees.uses_images = True
    runs = [evaluated(sees, chats, out, row=row("基"))]
    (chats.parent / "图片/3.png").write_bytes(b"another picture")
    runs.append(evaluated(sees, chats, out, row=row("新")))
    tests = compare_rows(build_table(runs), "基")
    assert tests.comparisons == {}
    assert [note for note in tests.notes if note.startswith("not tested on 聊天 (2)")]


@pytest.mark.parametrize(("name", "said"), [("没有", "there are 基, 抽签"), ("抽签", "several runs")])
def test_a_row_that_cannot_be_tested_against_is_an_error(
    chats: Path, out: Path, name: str, said: str
) -> None:
    runs = [evaluated(says(GOLD), chats, out, row=row("基")), *seeds(chats, out, GOLD, MISSED)]
    with pytest.raises(InputError, match=said):
        compare_rows(build_table(runs), name)
