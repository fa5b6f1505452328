"""The same run or another one: what has to be equal for answers to be reused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import answer, evaluated, says

from f2rcli.adapters.registry import ModelRow, Settings, build
from f2rcli.results.runs import RunFolder
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.prompts import PromptTemplate


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    chats = json.loads(path.read_text(encoding="utf-8"))
    change(chats[0])
    path.write_text(json.dumps(chats, ensure_ascii=False), encoding="utf-8")


def look(chats: Path, out: Path, **options: Any) -> RunFolder:
    """A run of a model that looks at the pictures."""
    return evaluated(says(answer(), uses_images=True), chats, out, **options)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "gold": lambda chat: chat["gt_turns"][0].append(9),
    "query": lambda chat: chat["query_text"].__setitem__(0, "帐篷在哪儿"),
    "turn": lambda chat: chat["dialogue"][0].update(utterance="早"),
    "speaker": lambda chat: chat["dialogue"][0].update(speaker="老王"),
    "order": lambda chat: (chat["query_text"].reverse(), chat["gt_turns"].reverse()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_data_is_another_run(chats: Path, out: Path, name: str) -> None:
    before = look(chats, out)
    edit(chats, CHANGES[name])
    assert look(chats, out).path != before.path


def test_what_is_not_asked_does_not_matter(chats: Path, out: Path) -> None:
    before = look(chats, out)
    edit(chats, lambda chat: chat.update(note="已检查"))
    assert look(chats, out).path == before.path


def test_a_changed_picture_is_another_run_for_those_who_look_at_it(chats: Path, out: Path) -> None:
    seen, unseen = look(chats, out), evaluated(says(answer()), chats, out)
    (chats.parent / "图片/3.png").write_bytes(b"another picture")
    assert look(chats, out).path != seen.path
    assert evaluated(says(answer()), chats, out).path == unseen.path


def test_swapped_pictures_are_another_run(chats: Path, out: Path) -> None:
    before = look(chats, out)
    contents = {i: (chats.parent / f"图片/{i}.png").read_bytes() for i in (3, 7)}
    for i in (3, 7):
        (chats.parent / f"图片/{i}.png").write_bytes(contents[10 - i])
    assert look(chats, out).path != before.path


def test_another_prompt_is_another_run(chats: Path, out: Path) -> None:
    task = load_task(str(chats))
    paths = {
        evaluated(says(answer()), replace(task, template=template), out).path
        for template in (
            None,
            PromptTemplate({"": "{query}？\n{dialogue}"}),
            PromptTemplate({"": "{query}！\n{dialogue}"}),
            PromptTemplate({"": "{query}！\n{dialogue}"}, system="你是助手"),
        )
    }
    assert len(paths) == 4


def test_limit_and_seed_make_another_run_where_they_change_what_is_asked(chats: Path, out: Path) -> None:
    everything = look(chats, out)
    assert look(chats, out, limit=3).path == everything.path
    assert look(chats, out, limit=2).path != everything.path
    assert len({look(chats, out, limit=1, seed=seed).path for seed in range(20)}) == 3


def test_another_setting_of_the_model_is_another_run(chats: Path, out: Path) -> None:
    first = evaluated(says(answer(), config="快"), chats, out)
    assert evaluated(says(answer(), config="慢"), chats, out).path != first.path
    assert evaluated(says(answer(), config="快", max_turns=5), chats, out).path != first.path
    assert evaluated(says(answer(), config="快"), chats, out).path == first.path


def test_edited_code_of_ones_own_is_another_run(chats: Path, out: Path, tmp_path: Path) -> None:
    """Its file's, and that of a module that it imports from beside it."""
    code = {
        "模型.py": "from f2rcli.adapters.reference import Nothing\nfrom 助手 import N\n"
        "class M(Nothing): ...\n",
        "助手.py": "N = 1\n",
    }
    row = ModelRow(
        "模型.py:M", "python", "own", settings={"file": str(tmp_path / "模型.py"), "class": "M"}
    )

    def run() -> Path:
        for name, text in code.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return evaluated(build(row, Settings()), chats, out, row=row).path

    before = run()
    assert run() == before
    found = {before}
    for name in code:
        code[name] += "# 改了\n"
        found.add(run())
    assert len(found) == 3


def test_the_same_data_elsewhere_is_the_same_run(chats: Path, out: Path, tmp_path: Path) -> None:
    moved = handmade.write_chats(tmp_path / "别处")
    assert look(moved, out).path == look(chats, out).path


def test_a_link_to_another_picture_is_another_run(chats: Path, out: Path) -> None:
    folder = chats.parent / "图片"
    paths = []
    for name, content in (("甲.png", b"one"), ("乙.png", b"another"), ("丙.png", b"one")):
        (folder / name).write_bytes(content)
        (folder / "3.png").unlink()
        (folder / "3.png").symlink_to(name)
        paths.append(look(chats, out).path)
    assert paths[0] != paths[1]
    assert paths[0] == paths[2]  # what is in a picture counts, and not what it is called


def test_what_json_writes_alike_is_the_same_run(chats: Path, out: Path) -> None:
    settings = {"ids": (1, (2, "三")), 4: None}
    first = evaluated(says(answer(), config=settings), chats, out)
    again = says(answer(), config=settings)
    assert evaluated(again, chats, out).path == first.path
    assert again.asked == []
    assert len(first.record()["sessions"]) == 2


@pytest.mark.parametrize("config", [{1, 2}, float("nan"), b"1", [float("inf")]])
def test_an_identity_that_json_cannot_hold_is_refused(chats: Path, out: Path, config: object) -> None:
    with pytest.raises(InputError) as caught:
        evaluated(says(answer(), config=config), chats, out)
    assert str(caught.value).startswith("identity() of 手写 模型 is not JSON: ")
    assert not out.exists()
