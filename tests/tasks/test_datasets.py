"""Named tasks and files of one's own as requests."""

from hashlib import sha256
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import PICTURE, answer, record, write

from f2rcli.tasks.datasets import (
    default_data_root,
    file_digest,
    load_task,
    load_tasks,
    task_rows,
)
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.formats import parse
from f2rcli.tasks.parsed import NO_QUERY
from f2rcli.tasks.prompts import PromptTemplate

ONE = record("user1: 你好🐱", f"user2: 看 {PICTURE}", gold=answer([1], [0]))
TWO = record("user1: 再见", gold=answer([0]), dialogue_id="第二个")


def refusal(spec: str, root: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_task(spec, root)
    return str(caught.value)


def first_problem(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(load_task(str(path)).requests())
    return str(caught.value).removeprefix(str(path))


def test_published_sets_show_the_published_protocol() -> None:
    rows = task_rows()
    assert {
        name: row.protocol for name, row in rows.items() if name in ("mldr", "wechat", "example")
    } == {
        "mldr": "published",
        "wechat": "published",
        "example": "strict",
    }
    assert rows["wechat"].test_only
    assert not rows["mldr"].test_only


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mldr", "MLDR_val.json"),
        ("mldr", "MLDR/MLDR_val.json"),
        ("wechat", "WeChat_test_set.json"),
        ("wechat", "WeChat_test_set/测试.json"),
    ],
)
def test_a_task_is_found_where_its_authors_file_unpacks_to(name: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    write(tmp_path / file, ONE)
    task = load_task(name, tmp_path)
    assert (task.name, task.path) == (name, tmp_path / file)
    assert task.protocol == "published"
    assert task.images.folders == (tmp_path, (tmp_path / file).parent)


def test_tasks_that_are_not_there_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ONE)
    with pytest.raises(InputError) as caught:
        load_tasks(["mldr", "example", str(path), "wechat"], tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no data for mldr and wechat (looked for MLDR_val.json, MLDR/MLDR_val.json, "
        "WeChat_test_set.json, WeChat_test_set/WeChat_test_set.json, WeChat_test_set/*.json); "
        "it comes as MLDR.tar of the authors of F2RVLM (arXiv 2508.17714) "
        "and WeChat_test_set.tar of the authors of F2RVLM (arXiv 2508.17714); "
        "--data-root or F2R_DATA says where it is; "
        "--task example and --task your_chats.json run without it"
    )


def test_a_data_root_that_is_not_there(tmp_path: Path) -> None:
    root = tmp_path / "没有"
    assert (
        refusal("mldr", root)
        == f"{root}: no such folder; --data-root or F2R_DATA must be where data lies"
    )


def test_several_tasks_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "我的.jsonl", ONE)
    tasks = load_tasks([str(path), "example", f"mldr={path}"])
    assert [(task.name, task.protocol) for task in tasks] == [
        ("我的", "strict"),
        ("example", "strict"),
        ("mldr", "published"),
    ]
    assert [task.images.folders for task in tasks][::2] == [(tmp_path,), (tmp_path,)]


def test_several_files_that_could_be_it(tmp_path: Path) -> None:
    folder = tmp_path / "WeChat_test_set"
    folder.mkdir()
    for name in ("乙.json", "甲.json"):
        write(folder / name, ONE)
    assert refusal("wechat", tmp_path) == (
        f"{folder}: several files could be the task wechat: 乙.json, 甲.json; "
        "say which with --task wechat=PATH"
    )
    assert load_task(f"wechat={folder}/甲.json", tmp_path).name == "wechat"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path / "我的=聊天.jsonl", ONE)
    task = load_task(str(path))
    assert (task.name, task.title, task.protocol) == ("我的=聊天", "我的=聊天.jsonl", "strict")
    assert task.images.folders == (tmp_path,)
    assert not task.test_only


@pytest.mark.parametrize("spec", ["没有.json", "mldr=没有.json", "没有=a.json", "."])
def test_neither_a_task_nor_a_file(spec: str) -> None:
    assert refusal(spec) == (
        f"no task and no file of the name {spec.removeprefix('mldr=')!r}; "
        f"tasks are {', '.join(task_rows())}, mini; or give a file, or both: wechat=FILE"
    )


def test_the_environment_names_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_data_root() == Path()
    monkeypatch.setenv("F2R_DATA", str(tmp_path))
    assert default_data_root() == tmp_path
    write(tmp_path / "MLDR_val.json", ONE)
    assert load_task("mldr").path == tmp_path / "MLDR_val.json"


def test_requests_come_in_order_with_ids_and_places(tmp_path: Path) -> None:
    unnamed = record("user1: 嗯", dialogue_id="")
    path = write(tmp_path / "a.jsonl", ONE, TWO, ONE, unnamed)
    found = list(load_task(str(path)).requests())
    assert [request.id for request in found] == ["对话:0", "第二个:0", "对话:1", "dialogue:0"]
    assert [request.where for request in found] == [f"{path}:{n + 1} (record {n})" for n in range(4)]
    assert [request.gold for request in found] == [
        parse(r).requests[0].gold for r in (ONE, TWO, ONE, unnamed)
    ]


@given(names=st.lists(st.sampled_from(["", "a", "a:0", "对话", ":", "::0"]), min_size=1, max_size=8))
def test_ids_are_unique(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    records = [record("user1: 你好", dialogue_id=name) for name in names]
    path = write(tmp_path_factory.getbasetemp() / "ids.jsonl", *records)
    assert len({request.id for request in load_task(str(path)).requests()}) == len(names)


def test_a_template_replaces_every_prompt(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ONE)
    [task] = load_tasks([str(path)], template=PromptTemplate({"": "问 {query}\n{dialogue}"}))
    assert [request.prompt.head for request in task.requests()] == ["问 小猫\n"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([ONE, [1]], ":2 (record 1): not a JSON object; `f2r data check {path}` lists every problem"),
        (
            [record("user1: 你好", images=["", ""])],
            ":1 (record 0): image 0 has no path (and 2 more); "
            "`f2r data check {path}` lists every problem",
        ),
        (
            [TWO, record("user1: 你好", gold=None)],
            ":2 (record 1): no gold answer, so nothing can be scored; `f2r retrieve` asks without one",
        ),
        (
            [{"dialogue": [{"utterance_idx": 0, "utterance": "嗯"}]}],
            f":1 (record 0): {NO_QUERY}",
        ),
        ([[]], ": no records in it"),
    ],
)
def test_the_first_unusable_record_is_named(values: list[object], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *values)
    assert first_problem(path) == said.format(path=path)


def test_what_is_odd_but_usable_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", record("user1: 你好", gold=answer([0, 9])))
    warnings: list[str] = []
    assert len(list(load_task(str(path)).requests(warnings))) == 1
    assert warnings == [f"{path}:1 (record 0): the gold answer has ids that the dialogue lacks: [9]"]


def test_pictures_are_found_beside_the_file(tmp_path: Path) -> None:
    task = load_task(str(write(tmp_path / "a.jsonl", ONE)))
    [asked] = task.requests()
    with pytest.raises(InputError) as caught:
        task.with_images(asked)
    assert str(caught.value) == (
        f"{tmp_path}/a.jsonl:1 (record 0): image 图片/0.jpg: no such image under {tmp_path}; "
        "--data-root says which folder image paths start from"
    )
    (tmp_path / "图片").mkdir()
    PIL.Image.new("RGB", (4, 4)).save(tmp_path / "图片/0.jpg")
    found = task.with_images(asked)
    assert [image.file for image in found.dialogue.images] == [str((tmp_path / "图片/0.jpg").resolve())]
    assert found.digest == asked.digest


def test_pictures_that_lie_outside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    PIL.Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    path = write(tmp_path / "in/a.jsonl", record(f"user1: {PICTURE}", images=["../a.jpg"]))
    task = load_task(str(path))
    [asked] = task.requests()
    with pytest.raises(InputError) as caught:
        task.with_images(asked)
    assert str(caught.value) == (
        f"{path}:1 (record 0): image ../a.jpg: lies outside {tmp_path}/in; "
        "--allow-outside-images lets it be read"
    )
    allowed = load_task(str(path), allow_outside=True)
    assert allowed.with_images(asked).dialogue.images[0].file == str((tmp_path / "a.jpg").resolve())


def test_the_example_ships_with_its_pictures(tmp_path: Path) -> None:
    task = load_task("example", tmp_path)
    assert task.images.folders == (task.path.parent,)  # not those of the same name under a data root
    found = [task.with_images(request) for request in task.requests()]
    assert any(request.gold and not request.gold.size for request in found)
    assert {"en", "zh"} == {"zh" if "下面" in r.prompt.head else "en" for r in found}


def test_a_digest_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes("猫".encode() * 10**6)
    assert file_digest(path) == sha256("猫".encode() * 10**6).hexdigest()
