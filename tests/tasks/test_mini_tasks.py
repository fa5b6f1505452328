"""The mini sets as tasks: made when they are asked for, and only for testing what is for testing."""

from pathlib import Path

import pytest
from official import record, write
from small_sets import REQUESTS

from f2rcli.tasks.datasets import GROUPS, Task, load_task, load_tasks, task_rows
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.mini.cache import cached_file, make
from f2rcli.tasks.mini.sets import SETS

ONE = record("user1: 你好", query="小猫")


def names(tasks: list[Task]) -> list[str]:
    return [task.name for task in tasks]


def test_every_mini_set_is_a_task_of_its_own() -> None:
    made = {name: row for name, row in task_rows().items() if row.made}
    assert set(made) == set(SETS)
    assert {row.protocol for row in made.values()} == {"strict"}
    assert all("synthetic" in row.domain for row in made.values())
    assert [name for name, row in made.items() if row.test_only] == ["mini-wechat"]


def test_mini_stands_for_both(small_mini: Path) -> None:
    assert GROUPS == {"mini": ("mini-mldr", "mini-wechat")}
    assert names(load_tasks(["mini"])) == ["mini-mldr", "mini-wechat"]
    mixed = load_tasks(["mini-wechat", "example", "mini", "mini"])
    assert names(mixed) == ["mini-wechat", "example", "mini-mldr"]
    assert not cached_file("mini-mldr-train").exists()


def test_where_one_task_is_wanted_mini_is_refused(small_mini: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_task("mini")
    assert str(caught.value) == "mini is several tasks; give one of mini-mldr, mini-wechat"
    assert not small_mini.exists()


def test_a_mini_set_is_there_once_it_is_made(small_mini: Path, tmp_path: Path) -> None:
    row = task_rows()["mini-mldr"]
    assert row.find(tmp_path) is None
    task = load_task("mini-mldr", tmp_path)
    assert row.find(tmp_path) == task.path == cached_file("mini-mldr")
    assert (task.name, task.title, task.protocol) == ("mini-mldr", "mini-mldr", "strict")
    assert task.named
    assert len([task.with_images(request) for request in task.requests()]) == REQUESTS


@pytest.mark.parametrize("way", ["option", "environment"])
def test_its_pictures_are_its_own_whatever_the_data_root(
    small_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    root = tmp_path / "数据"
    root.mkdir()
    if way == "environment":
        monkeypatch.setenv("F2R_DATA", str(root))
    task = load_task("mini-mldr", root if way == "option" else None)
    assert task.images.folders == (task.path.parent,)


def test_all_of_a_mini_set_counts_as_synthetic(small_mini: Path) -> None:
    for task in load_tasks(["mini", "mini-mldr-train"]):
        assert all("synthetic" in request.shares for request in task.requests())
    assert not any(request.shares for request in load_task("example").requests())


@pytest.mark.parametrize(
    ("name", "test_only"),
    [
        ("mini-wechat.jsonl", True),
        ("mini-mldr.jsonl", False),
        ("mini-wechat.json", False),
        ("我的.jsonl", False),
    ],
)
def test_a_sibling_set_is_for_testing_only_by_its_name(
    name: str, test_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / name, ONE)
    assert load_task(str(path)).test_only == test_only
    monkeypatch.chdir(tmp_path)
    assert load_task(name).test_only == test_only
    link = tmp_path / "链接.jsonl"
    link.symlink_to(path)
    assert load_task(str(link)).test_only == test_only


def test_a_file_in_the_part_of_a_test_set_is_for_testing_only(tmp_path: Path) -> None:
    path = write(tmp_path / "我的.jsonl", ONE)
    task = load_task(f"mini-wechat={path}")
    assert (task.name, task.path, task.test_only) == ("mini-wechat", path, True)
    assert not load_task(f"mini-mldr={path}").test_only


def test_a_sibling_set_is_read_where_it_was_made(small_mini: Path, tmp_path: Path) -> None:
    make("mini-wechat", 7, tmp_path / "姊妹")
    task = load_task(str(tmp_path / "姊妹/mini-wechat.jsonl"))
    assert (task.name, task.protocol, task.named, task.test_only) == (
        "mini-wechat",
        "strict",
        False,
        True,
    )
    assert len([task.with_images(request) for request in task.requests()]) == REQUESTS
    assert not small_mini.exists()


def test_a_task_without_a_cache_to_make_it_in(small_mini: Path) -> None:
    small_mini.touch()
    with pytest.raises(InputError, match="F2R_CACHE says where else"):
        load_task("mini-mldr")


def test_their_encoder_is_their_own_and_that_of_siblings_made_like_them(
    small_mini: Path, tmp_path: Path
) -> None:
    sibling = write(tmp_path / "mini-wechat.jsonl", ONE)
    real = write(tmp_path / "WeChat_test_set.json", ONE)
    other = write(tmp_path / "聊天.jsonl", ONE)
    tasks = load_tasks(["mini-mldr", "example", f"mini-mldr={other}", *map(str, (sibling, real, other))])
    assert [task.encoder for task in tasks] == [
        "clip-nano",
        "none",
        "clip-nano",
        *("clip-nano", "clip-vit-base-patch32", "clip-vit-base-patch32"),
    ]
