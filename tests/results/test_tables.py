"""Which rows and columns a table has."""

import json
import re
from dataclasses import replace
from pathlib import Path

import handmade
import pytest
from handmade import Scripted, answer, evaluated, says, scores

from f2rcli.adapters.registry import ModelRow
from f2rcli.results.runs import RunFolder
from f2rcli.results.tables import Table, build_table, find_runs
from f2rcli.tasks.datasets import Task, load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure

REFERENCE = ModelRow("参照", "random", "reference")


def named(chats: Path, name: str, protocol: str = "published") -> Task:
    """The chats in the part of a named task."""
    return replace(load_task(str(chats)), name=name, protocol=protocol, named=True)


def names(table: Table) -> list[str]:
    return [row.model for row in table.rows]


def test_one_row_a_model_and_one_column_a_task(chats: Path, out: Path, tmp_path: Path) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("别的"))
    other = other.rename(other.with_name("别的.json"))
    for task in (chats, other):
        evaluated(says(answer([2])), task, out)
        evaluated(says(answer()), task, out, row=REFERENCE)
    table = build_table(find_runs([out]))
    assert table.tasks == {"别的": "strict", "聊天": "strict"}
    assert [(row.model, row.trained, row.kind) for row in table.rows] == [
        ("手写 模型", "own", "run"),  # started first
        ("参照", "reference", "reference"),
    ]
    assert [set(row.scores) for row in table.rows] == [{"别的", "聊天"}] * 2


def test_two_set_ups_of_one_model_are_two_rows(chats: Path, out: Path) -> None:
    runs = [evaluated(says(answer([i]), config=i), chats, out) for i in (2, 5)]
    table = build_table(runs)
    assert len(set(names(table))) == len(names(table)) == 2
    assert all("手写 模型" in name for name in names(table))
    shown = [row.scores["聊天"]["joint"]["f1"] for row in table.rows]
    assert shown == [scores(run)["strict"]["joint"]["f1"] for run in runs]
    assert shown[0] != shown[1]


def test_one_task_name_with_other_requests_is_two_columns(
    chats: Path, out: Path, tmp_path: Path
) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("别的"))
    runs = [evaluated(says(answer()), task, out) for task in (chats, other)]
    runs.append(evaluated(says(answer()), chats, out, limit=1))
    table = build_table(runs)
    assert names(table) == ["手写 模型"]
    assert len(table.tasks) == 3
    assert all("聊天" in task for task in table.tasks)
    assert [s["samples"] for s in table.rows[0].scores.values()] == [3, 3, 1]


def test_one_model_over_changed_pictures_is_not_one_cell(chats: Path, out: Path) -> None:
    runs = [evaluated(says(answer([2]), uses_images=True), chats, out)]
    (chats.parent / "图片/3.png").write_bytes(b"another picture")
    runs.append(evaluated(says(answer([5]), uses_images=True), chats, out))
    assert runs[0].path != runs[1].path
    table = build_table(runs)
    assert sum(len(row.scores) for row in table.rows) == 2


def test_models_that_look_at_pictures_share_a_column_with_those_that_do_not(
    chats: Path, out: Path
) -> None:
    evaluated(says(answer(), uses_images=True), chats, out)
    evaluated(says(answer()), chats, out, row=REFERENCE)
    assert len(build_table(find_runs([out])).tasks) == 1


def test_each_task_shows_its_own_protocol_unless_told_otherwise(chats: Path, out: Path) -> None:
    run = evaluated(says("答：" + answer([2, 3, 4], [0])), named(chats, "wechat"), out)
    assert build_table([run]).tasks == {"wechat": "published"}
    for protocol in ("published", "strict"):
        row = build_table([run], protocol, published=False).rows[0]
        assert row.scores["wechat"] == scores(run)[protocol]
    assert scores(run)["strict"]["joint"]["f1"] < scores(run)["published"]["joint"]["f1"]


def test_published_numbers_stand_beside_runs_of_the_same_task_and_protocol(
    chats: Path, out: Path
) -> None:
    runs = [evaluated(says(answer()), named(chats, task), out) for task in ("mldr", "wechat")]
    table = build_table(runs)
    published = {row.model: row for row in table.rows if row.kind == "published"}
    [ours] = [row for name, row in published.items() if name.startswith("F2RVLM")]
    assert {task: s["joint"]["f1"] for task, s in ours.scores.items()} == pytest.approx(
        {"mldr": 0.8725, "wechat": 0.6207}
    )
    assert all("†" in name for name in published)
    assert any("†" in note for note in table.notes)
    zero_shot = [row for row in table.rows if row.kind == "published" and row.trained == "zero-shot"]
    assert [list(row.scores) for row in zero_shot] == [["wechat"]]


@pytest.mark.parametrize(
    ("task", "protocol", "shown", "published"),
    [
        ("mldr", "published", None, False),  # switched off
        ("mldr", "published", "strict", True),  # another protocol
        ("聊天", "published", None, True),  # another task
        ("mini-mldr", "strict", None, True),
    ],
)
def test_published_numbers_stand_nowhere_else(
    chats: Path, out: Path, task: str, protocol: str, shown: str | None, published: bool
) -> None:
    run = evaluated(says(answer()), named(chats, task, protocol), out)
    table = build_table([run], shown, published=published)
    assert [row.kind for row in table.rows] == ["run"]
    assert not any("†" in note for note in table.notes)


def test_published_numbers_do_not_stand_beside_a_part_of_a_set(chats: Path, out: Path) -> None:
    run = evaluated(says(answer()), named(chats, "mldr"), out, limit=2)
    assert [row.kind for row in build_table([run]).rows] == ["run"]


def test_published_numbers_do_not_stand_beside_a_file_that_is_only_called_so(
    chats: Path, out: Path
) -> None:
    """A file mldr.json of somebody's own chats, shown under the published protocol."""
    run = evaluated(says(answer()), chats.rename(chats.with_name("mldr.json")), out)
    assert run.record()["task"]["protocol"] == "strict"
    assert [row.kind for row in build_table([run], "published").rows] == ["run"]


def test_an_interrupted_run_is_shown_with_a_note(chats: Path, out: Path) -> None:
    def broken(request: object) -> str:
        if retriever.asked[1:]:
            raise ZeroDivisionError
        return answer([2, 3, 4], [0])

    retriever = Scripted(broken)
    with pytest.raises(ZeroDivisionError):
        evaluated(retriever, chats, out)
    [run] = find_runs([out])
    table = build_table([run])
    assert table.rows[0].scores["聊天"]["coverage"] == pytest.approx(1 / 3)
    [note] = table.notes
    assert "interrupted" in note
    assert str(run.path) in note
    evaluated(says(answer()), chats, out)
    assert build_table([run]).notes == []


def test_a_finished_run_with_failures_is_not_called_interrupted(chats: Path, out: Path) -> None:
    run = evaluated(Scripted(lambda request: Failure("error", "超时")), chats, out)
    assert build_table([run]).notes == []


def test_runs_are_found_once_at_any_depth(chats: Path, out: Path) -> None:
    run = evaluated(says(answer()), chats, out)
    found = find_runs([out, run.path, out / "聊天"])
    assert [r.path.resolve() for r in found] == [run.path.resolve()]


@pytest.mark.parametrize("name", ["没有", "空的", "文件"])
def test_a_place_without_runs_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "空的").mkdir()
    (tmp_path / "文件").touch()
    with pytest.raises(InputError, match="no run folder") as caught:
        find_runs([tmp_path / name])
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"published": 1, "strict": 2}'])
def test_damaged_scores_are_named_with_the_way_out(chats: Path, out: Path, content: str) -> None:
    run: RunFolder = evaluated(says(answer()), chats, out)
    (run.path / "scores.json").write_text(content)
    with pytest.raises(InputError, match=re.escape(f"f2r score {run.path}")):
        build_table([run])


def test_the_table_is_of_what_the_runs_say(chats: Path, out: Path) -> None:
    run = evaluated(says(answer([2, 3, 4], [0])), chats, out)
    stored = json.loads((run.path / "scores.json").read_text())
    assert build_table([run]).rows[0].scores == {"聊天": stored["strict"]}


def test_the_same_run_in_two_places_is_two_rows(chats: Path, tmp_path: Path) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("别的"))
    other = other.rename(other.with_name("别的.json"))
    places = [tmp_path / "甲", tmp_path / "乙"]
    for number, place in enumerate(places):
        for task in (chats, other):
            evaluated(says(answer([2 + number])), task, place)
    table = build_table(find_runs(places))
    assert names(table) == ["手写 模型", "手写 模型 (2)"]
    assert [set(row.scores) for row in table.rows] == [{"别的", "聊天"}] * 2


def test_a_run_made_twice_shares_no_row_with_another_set_up(chats: Path, tmp_path: Path) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("别的"))
    other = other.rename(other.with_name("别的.json"))
    runs = [evaluated(says(answer([2]), config=1), chats, tmp_path / place) for place in "甲乙"]
    runs.append(evaluated(says(answer([2]), config=2), other, tmp_path / "甲"))
    table = build_table(runs)
    assert [list(row.scores) for row in table.rows] == [["聊天"], ["聊天"], ["别的"]]
    assert len(set(names(table))) == 3


def test_a_model_of_ones_own_that_sees_gold_is_a_reference(chats: Path, out: Path) -> None:
    run = evaluated(says(answer(), sees_gold=True), chats, out)
    assert run.record()["model"]["trained"] == "reference"
    [row] = build_table([run]).rows
    assert (row.trained, row.kind) == ("reference", "reference")


def test_a_task_is_synthetic_where_all_of_its_requests_are(out: Path, tmp_path: Path) -> None:
    runs = []
    for name, marks in (("造的", (True, True)), ("一半", (True, False)), ("真的", (False, False))):
        made = [handmade.chat(name) | {"shares": ["synthetic"] * mark} for mark in marks]
        task = named(handmade.write_chats(tmp_path / name, *made), name)
        runs += [
            evaluated(says(answer()), task, out),
            evaluated(says(answer()), task, out, row=REFERENCE),
        ]
    table = build_table(runs)
    assert list(table.tasks) == ["造的", "一半", "真的"]
    assert table.synthetic == {"造的"}
    assert scores(runs[0])["strict"]["synthetic"] is True
    assert not any("synthetic" in scores(run)[p] for run in runs[2:] for p in ("published", "strict"))
