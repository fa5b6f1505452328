"""What every layout shows, with values by hand.

In the chat with three queries the gold fragments have 4 utterances and 2 images. Answering [2] to all of
them: utterances TP 1, FP 2, FN 3, so P 1/3, R 1/4, F1 2/7; no image, so joint F1 1/7. Answering
[2, 3, 4] and [0]: utterances 3, 6, 1, so F1 6/13; images 1, 2, 1, so F1 2/5; joint 28/65.
"""

from dataclasses import replace
from pathlib import Path

import handmade
import pytest
from handmade import answer, evaluated
from tabled import RIGHT, many, right, row, says, seeds

from f2rcli.results.cells import Column, Line, Panel
from f2rcli.results.layouts import lay_out
from f2rcli.results.rows import Row, Table
from f2rcli.results.significance import compare_rows
from f2rcli.results.tables import build_table
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.probes import Probe
from f2rcli.tasks.types import Failure

ONE, THREE = answer([2]), answer([2, 3, 4], [0])


def texts(panel: Panel) -> dict[str, list[str]]:
    """What stands in each line, by model."""
    return {line.row.model: [cell.text for cell in line.numbers(panel)] for line in panel.lines}


def headers(panel: Panel) -> list[str]:
    return [column.header for columns in panel.columns().values() for column in columns]


@pytest.fixture
def two(chats: Path, out: Path) -> Table:
    """全 answers [2, 3, 4] and [0] to everything, 少 only [2]."""
    pairs = (("全", THREE), ("少", ONE))
    return build_table([evaluated(says(text), chats, out, row=row(name)) for name, text in pairs])


def test_main_is_precision_recall_f1_and_mcc_of_both_modalities(two: Table) -> None:
    sheet = lay_out(two, "main")
    [panel] = sheet.panels
    assert (panel.title, headers(panel)) == ("joint, %", ["P", "R", "F1", "MCC"])
    assert texts(panel)["少"][:3] == ["16.67", "12.50", "14.29"]
    assert texts(panel)["全"][:3] == ["33.33", "62.50", "43.08"]
    assert sheet.notes == ["聊天: 3 requests, strict protocol, micro average"]


def test_modality_is_the_same_for_either(two: Table) -> None:
    panels = lay_out(two, "modality").panels
    assert [panel.title for panel in panels] == ["joint, %", "utterance, %", "image, %"]
    assert [texts(panel)["全"][2] for panel in panels] == ["43.08", "46.15", "40.00"]
    assert [texts(panel)["少"][2] for panel in panels] == ["14.29", "28.57", "0.00"]


def test_the_ablation_has_differences_from_the_first_row(two: Table) -> None:
    sheet = lay_out(two, "ablation")
    [panel] = sheet.panels
    assert headers(panel) == ["utterance F1", "Δ", "image F1", "Δ", "joint F1", "Δ"]
    assert texts(panel) == {
        "全": ["46.15", "", "40.00", "", "43.08", ""],
        "少": ["28.57", "-17.58", "0.00", "-40.00", "14.29", "-28.79"],
    }
    assert sheet.notes[-1] == "Δ: difference from 全, in points"


def test_the_ablation_can_be_against_another_row_which_then_comes_first(two: Table) -> None:
    panel = lay_out(two, "ablation", compare_rows(two, "少")).panels[0]
    assert list(texts(panel)) == ["少", "全"]
    assert texts(panel)["全"][1::2] == ["+17.58", "+40.00", "+28.79"]


def test_a_reference_is_not_the_full_model_of_an_ablation(chats: Path, out: Path) -> None:
    runs = [evaluated(says(ONE), chats, out, row=row("参照", "reference"))]
    runs.append(evaluated(says(THREE), chats, out, row=row("全")))
    assert list(texts(lay_out(build_table(runs), "ablation").panels[0])) == ["全", "参照"]


def test_lengths_have_their_requests_and_a_dash_where_there_are_none(out: Path, tmp_path: Path) -> None:
    """Two dialogues of 12 turns with one query each, one of 40 with two; gold is 2, 3, 4 and image 0."""
    queries = {"帐篷": [2, 3, 4], "灯": [2, 3, 4]}
    short = [handmade.chat(name, queries={"帐篷": [2, 3, 4]}) for name in "甲乙"]
    task = handmade.write_chats(tmp_path / "长短", *short, handmade.chat("丙", 40, queries))
    model = says(lambda request: ONE if request.dialogue.id == "甲" else THREE)
    sheet = lay_out(build_table([evaluated(model, task, out)]), "length")
    [panel] = sheet.panels
    assert headers(panel) == ["all (4)", "<35 (2)", "35–65 (2)", ">65 (0)"]
    # All: utterances TP 10 of 12, images 3 of 4, no FP: F1 10/11 and 6/7. Short: 4 of 6 and 1 of 2.
    assert texts(panel) == {"手写 模型": ["88.31", "73.33", "100.00", "–"]}
    assert [cell.requests for cell in panel.lines[0].cells["聊天"]] == [4, 2, 2, 0]


def test_failures_are_counted_by_kind_with_exact_answers(chats: Path, out: Path) -> None:
    said = {**RIGHT, "露营:1": Failure("refused", "不行"), "露营:2": answer([2, 99])}
    sheet = lay_out(build_table([evaluated(says(lambda r: said[r.id]), chats, out)]), "failures")
    [panel] = sheet.panels
    assert dict(zip(headers(panel), texts(panel)["手写 模型"], strict=True)) == {
        "coverage, %": "66.67",
        "error": "0",
        "refused": "1",
        "truncated": "0",
        "malformed": "0",
        "out of range": "1",
        "exact, %": "33.33",
    }
    assert sheet.remark_notes() == []  # the table says it


def test_other_layouts_say_in_the_notes_what_failed(chats: Path, out: Path) -> None:
    said = {**RIGHT, "露营:2": "不知道"}
    sheet = lay_out(build_table([evaluated(says(lambda r: said[r.id]), chats, out)]), "length")
    assert sheet.remark_notes() == ["手写 模型 on 聊天: 1 malformed"]


def test_coherence_without_an_encoder_says_what_to_do(two: Table) -> None:
    with pytest.raises(InputError, match="f2r score RUN --encoder"):
        lay_out(two, "coherence")


def test_published_rows_are_marked_and_have_an_f1_alone(chats: Path, out: Path) -> None:
    task = replace(load_task(str(chats)), name="wechat", protocol="published", named=True)
    table = build_table([evaluated(says(ONE), task, out)])
    assert texts(lay_out(table, "length").panels[0])["F2RVLM (7B) †"] == ["62.07", "–", "–", "–"]
    shown = texts(lay_out(table, "ablation").panels[0])
    assert list(shown) == ["手写 模型"]


def panel_of(*values: tuple[str, float | None]) -> Panel:
    """One column of rows of these kinds and values."""
    column = Column("F1", "joint.f1", best=True)
    lines = [
        Line(
            Row(f"{n}", "", kind.removeprefix("probed "), probed="probed" in kind),
            {"t": [column.cell(v)]},
        )
        for n, (kind, v) in enumerate(values)
    ]
    panel = Panel("joint, %", {"t": [column]}, lines)
    panel.rank()
    return panel


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([0.5, 0.7, 0.6, 0.1], [0, 1, 2, 0]),
        ([0.7, 0.7, 0.6, 0.6], [1, 1, 2, 2]),
        ([0.70001, 0.70004, 0.6], [1, 1, 2]),  # drawn alike, so marked alike
        ([0.5, None, 0.6], [2, 0, 1]),
        ([0.5], [0]),  # alone
        ([-0.1, -0.2], [1, 2]),
    ],
)
def test_the_best_and_the_second_best_are_found(values: list[float | None], places: list[int]) -> None:
    panel = panel_of(*(("run", value) for value in values))
    assert [line.cells["t"][0].place for line in panel.lines] == places


def test_references_published_rows_and_probes_do_not_compete() -> None:
    kinds = ("reference", "published", "probed run", "run", "run")
    panel = panel_of(*zip(kinds, (1.0, 0.9, 0.8, 0.2, 0.1), strict=True))
    assert [line.cells["t"][0].place for line in panel.lines] == [0, 0, 0, 1, 2]


def test_a_run_under_a_probe_does_not_compete(out: Path, tmp_path: Path) -> None:
    task = many(tmp_path / "许多", 2)
    probed = evaluated(says(THREE), task, out, probe=Probe("shuffle-turns"))
    table = build_table([probed, evaluated(says(right_or_one), task, out)])
    assert [r.competes("许多") for r in table.rows] == [False, True]


def right_or_one(request: object) -> str:
    return ONE


def test_means_over_seeds_stand_in_every_layout(chats: Path, out: Path) -> None:
    """Joint F1 1/7 and 28/65: mean 261/910, sample sd |131/455| / √2."""
    table = build_table([*seeds(chats, out, ONE, THREE), evaluated(says(right), chats, out)])
    for layout, place in (("main", 2), ("length", 0), ("length", 1), ("ablation", 4)):
        [line] = [line for line in lay_out(table, layout).panels[0].lines if line.row.model == "抽签"]
        cell = line.cells["聊天"][place]
        assert (cell.text, cell.spread) == ("28.68", "20.36"), layout
        assert (cell.value, cell.sd) == pytest.approx((261 / 910, 131 / 455 / 2**0.5))
