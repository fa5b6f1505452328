"""Where the pictures of a task are looked for: beside its file and under the data root."""

import os
from pathlib import Path

import PIL.Image
import pytest
from official import PICTURE, record, write

from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError

ONE = record(f"user1: 看 {PICTURE}")
NAME = "图片/0.jpg"


def picture(folder: Path) -> Path:
    path = folder / NAME
    path.parent.mkdir(parents=True)
    PIL.Image.new("RGB", (4, 4)).save(path)
    return path.resolve()


def found(spec: str | Path, root: Path | None = None) -> Path:
    task = load_task(str(spec), root)
    [asked] = task.requests()
    return Path(str(task.with_images(asked).dialogue.images[0].file))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with a file two folders below it."""
    (tmp_path / "根/甲/乙").mkdir(parents=True)
    write(tmp_path / "根/甲/乙/a.jsonl", ONE)
    return tmp_path / "根"


def test_a_picture_beside_a_file_of_ones_own_wins_over_the_data_roots(
    root: Path, tmp_path: Path
) -> None:
    own = write(tmp_path / "a.jsonl", ONE)
    below = picture(root)
    assert found(own, root) == below
    beside = picture(tmp_path)
    assert found(own, root) == beside


@pytest.mark.parametrize("relative", [False, True])
def test_a_named_tasks_pictures_are_found_under_the_root(
    root: Path, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "甲/乙/a.jsonl"
    below = picture(root)
    monkeypatch.chdir(root / "甲")
    given = os.path.relpath(root) if relative else str(root)
    assert found(f"mldr={path}", Path(given)) == below
    monkeypatch.setenv("F2R_DATA", given)
    assert found(f"mldr={path}") == below


def test_a_file_of_ones_own_looks_nowhere_else_unless_told(root: Path, tmp_path: Path) -> None:
    own = write(tmp_path / "a.jsonl", ONE)
    picture(root)
    with pytest.raises(InputError, match="no such image"):
        found(own)
