"""curriculum.jsonl: what is written is read, and what was made of other data is refused."""

import json
from pathlib import Path
from typing import Any

import asked
import handmade
import official
import pytest

from f2rcli.tasks.errors import InputError
from f2rcli.training.curriculum.difficulty import Curriculum, Sample
from f2rcli.training.curriculum.file import (
    Chosen,
    ordered_requests,
    read_curriculum,
    write_curriculum,
)

SAMPLES = [Sample("露营:0", 0.5, 3.0), Sample("露营:1", 0.1, 4.0), Sample("露营:2", 1.0, 2.5)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return handmade.write_chats(tmp_path / "数据")


@pytest.fixture
def file(data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "curriculum.jsonl"
    write_curriculum(path, {"data": asked.selection(data).identity()}, Curriculum(SAMPLES))
    return path


def test_what_is_written_is_read_in_the_order_of_training(file: Path, data: Path) -> None:
    origin, chosen = read_curriculum(file)
    assert origin == {"data": asked.selection(data).identity()}
    assert chosen == [
        Chosen("露营:2", "easy", 1.0, 2.5),
        Chosen("露营:0", "middle", 0.5, 3.0),
        Chosen("露营:1", "hard", 0.1, 4.0),
    ]
    first, *others = file.read_text(encoding="utf-8").splitlines()
    assert list(json.loads(first)) == ["curriculum"]
    assert others[0] == '{"request": "露营:2", "difficulty": "easy", "f1": 1.0, "entropy": 2.5}'


def test_requests_come_in_the_order_of_training(file: Path, data: Path) -> None:
    selection = asked.selection(data)
    found = ordered_requests(file, selection)
    assert found == [selection.requests[k] for k in (2, 0, 1)]


def test_other_data_is_refused(file: Path, data: Path, tmp_path: Path) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("面馆"))
    with pytest.raises(InputError) as caught:
        ordered_requests(file, asked.selection(other))
    assert str(caught.value).startswith(f"{file}: made of other data than {other}; `f2r train")
    changed = data.read_text(encoding="utf-8").replace("露营的第0句话", "早")
    data.write_text(changed, encoding="utf-8")
    with pytest.raises(InputError, match="made of other data"):
        ordered_requests(file, asked.selection(data))


def test_a_request_that_the_data_lacks_is_refused(file: Path, data: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace("露营:1", "露营:9"), encoding="utf-8")
    with pytest.raises(InputError, match="request '露营:9' is not in"):
        ordered_requests(file, asked.selection(data))


LINE = {"request": "露营:0", "difficulty": "easy", "f1": 1.0, "entropy": 2}
ORIGIN = {"curriculum": {"data": {"data": "ab12"}}}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([], "the file is empty"),
        ([ORIGIN], "no samples in it"),
        ([LINE], ":1 (record 0): not a curriculum"),
        ([{"curriculum": {"data": "ab12"}}, LINE], ":1 (record 0): not a curriculum"),
        ([["curriculum"], LINE], ":1 (record 0): not a curriculum"),
        ([ORIGIN, LINE, LINE], ":3 (record 2): there a second time"),
        ([ORIGIN, {**LINE, "request": 1}], ":2 (record 1): not a sample"),
        ([ORIGIN, {**LINE, "difficulty": "simple"}], ":2 (record 1): not a sample"),
        ([ORIGIN, {**LINE, "f1": "1.0"}], ":2 (record 1): not a sample"),
        ([ORIGIN, {**LINE, "seed": 1}], ":2 (record 1): not a sample"),
        ([ORIGIN, {"request": "露营:0"}], ":2 (record 1): not a sample"),
        ([ORIGIN, "露营:0"], ":2 (record 1): not a sample"),
    ],
)
def test_what_is_no_curriculum_is_one_line(tmp_path: Path, values: list[Any], complaint: str) -> None:
    file = official.write(tmp_path / "课程.jsonl", *values)
    with pytest.raises(InputError) as caught:
        read_curriculum(file)
    line = str(caught.value).removeprefix(str(file))
    assert complaint in line
    assert line.endswith("; `f2r train curriculum` makes it")


def test_a_file_that_is_not_there_or_torn_is_one_line(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; `f2r train curriculum"):
        read_curriculum(tmp_path / "没有.jsonl")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError) as caught:
        read_curriculum(file)
    assert caught.value.where.startswith(f"{file}:4")
