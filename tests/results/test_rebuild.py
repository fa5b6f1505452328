"""predictions.jsonl and scores.json are derived: they can be made again at any time."""

import json
from dataclasses import replace
from pathlib import Path

import handmade
import pytest
from handmade import Scripted, answer, evaluated, says

from f2rcli.results.evaluate import rebuild
from f2rcli.results.runs import RunFolder
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Failure

DERIVED = ("predictions.jsonl", "scores.json")


def derived(run: RunFolder) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in DERIVED]


@pytest.mark.parametrize(("turns", "max_turns"), [(12, None), (130, 100), (30, 7)])
@pytest.mark.parametrize("limit", [None, 2])
def test_both_files_are_made_again_byte_for_byte(
    tmp_path: Path, out: Path, turns: int, max_turns: int | None, limit: int | None
) -> None:
    task = handmade.write_chats(tmp_path / "数据", handmade.chat(turns=turns))
    said = iter([answer([2]), Failure("refused", "不行"), "?"] * 10)
    run = evaluated(Scripted(lambda request: next(said), max_turns=max_turns), task, out, limit=limit)
    before = derived(run)
    for name in DERIVED:
        (run.path / name).unlink()
    rebuild(run)
    assert derived(run) == before


def test_a_prompt_of_ones_own_is_in_the_predictions_and_in_their_rebuilding(
    chats: Path, out: Path
) -> None:
    template = PromptTemplate({"": "请找：{query}\n{dialogue}\n只写编号"}, system="你是助手")
    run = evaluated(says(answer()), replace(load_task(str(chats)), template=template), out)
    before = derived(run)
    first = json.loads(before[0].split(b"\n")[0])
    assert first["messages"][0] == {"role": "system", "content": "你是助手"}
    assert first["messages"][1]["content"].startswith("请找：")
    (run.path / "predictions.jsonl").write_text("damaged")
    rebuild(run)
    assert derived(run) == before


def test_a_corrected_answer_changes_the_scores(chats: Path, out: Path) -> None:
    run = evaluated(says(answer()), chats, out)
    before = derived(run)
    path = run.path / "answers.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("[]", "[2]"), encoding="utf-8")
    rebuild(run)
    assert derived(run) != before


@pytest.mark.parametrize(
    "change",
    [
        ("谁带蛋糕", "谁带糕点"),
        ("露营的第0句话", "早上好"),
        ("[7]", "[8]"),
        ("阿梅", "小梅"),
    ],
)
def test_changed_data_leaves_the_predictions_as_they_are(
    chats: Path, out: Path, change: tuple[str, str]
) -> None:
    run = evaluated(says(answer()), chats, out)
    before = derived(run)
    text = chats.read_text(encoding="utf-8")
    assert change[0] in text
    chats.write_text(text.replace(*change), encoding="utf-8")
    reason = rebuild(run).reason
    assert reason
    assert f"{chats}: the data has changed since the run" in reason
    assert derived(run) == before


def test_without_data_the_scores_are_made_of_the_predictions(chats: Path, out: Path) -> None:
    run = evaluated(says(answer()), chats, out)
    before = derived(run)
    chats.unlink()
    (run.path / "scores.json").unlink()
    reason = rebuild(run).reason
    assert reason
    assert str(chats) in reason
    assert derived(run) == before


def test_without_data_and_predictions_nothing_can_be_made(chats: Path, out: Path) -> None:
    run = evaluated(says(answer()), chats, out)
    chats.unlink()
    (run.path / "predictions.jsonl").unlink()
    with pytest.raises(InputError) as caught:
        rebuild(run)
    assert str(chats) in str(caught.value)


def test_pictures_need_not_be_there(chats: Path, out: Path) -> None:
    run = evaluated(says(answer(), uses_images=True), chats, out)
    for picture in (chats.parent / "图片").iterdir():
        picture.unlink()
    rebuild(run)


def test_a_relative_path_is_found_from_anywhere(
    chats: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chats.parent)
    run = evaluated(says(answer()), Path(chats.name), out)
    monkeypatch.chdir(tmp_path)
    rebuild(run)
