"""The folder of a training: its states, its log, and what it refuses to be."""

import json
from pathlib import Path

import pytest
from handmade import lines

from f2rcli.tasks.errors import InputError
from f2rcli.training.folder import TrainingFolder

IDENTITY = {"recipe": {"seed": 0, "base": "b"}, "base": "digest"}


@pytest.fixture
def folder(tmp_path: Path) -> TrainingFolder:
    made = TrainingFolder(tmp_path / "训练")
    made.path.mkdir()
    made.begin(IDENTITY, {}, {})
    return made


def write_state(folder: TrainingFolder, step: int) -> None:
    written = folder.unfinished / f"checkpoint-{step}"
    written.mkdir(parents=True)
    (written / "model.safetensors").write_text(str(step))
    folder.keep(written, step)


def test_the_last_two_states_are_kept(folder: TrainingFolder) -> None:
    assert folder.latest_state() == (0, None)
    for step in (2, 9, 10, 100):
        write_state(folder, step)
    assert folder.latest_state() == (100, folder.states / "step-100")
    assert sorted(path.name for path in folder.states.iterdir()) == ["step-10", "step-100", "unfinished"]
    assert not list(folder.unfinished.iterdir())


def test_what_is_half_written_is_no_state_and_goes(folder: TrainingFolder) -> None:
    write_state(folder, 2)
    (folder.unfinished / "checkpoint-4").mkdir()
    (folder.states / "step-later").mkdir()
    assert folder.latest_state()[0] == 2
    folder.begin(IDENTITY, {}, {})
    assert not folder.unfinished.exists()


def test_the_log_goes_back_to_the_state(folder: TrainingFolder) -> None:
    assert folder.rewind(3) == 0
    for step in (0, 2, 3, 4):
        folder.log({"step": step, "seconds": step / 2})
    with folder.log_file.open("a") as file:
        file.write('{"step": 5, "sec')
    assert folder.rewind(3) == 1.5
    assert [line["step"] for line in lines(folder.log_file)] == [0, 2, 3]


def test_sessions_are_added_and_another_identity_is_refused(folder: TrainingFolder) -> None:
    folder.begin(IDENTITY, {}, {"device": "cpu"})
    record = folder.record()
    assert record
    assert len(record["sessions"]) == 2
    folder.begin({**IDENTITY, "recipe": {**IDENTITY["recipe"], "name": "renamed"}}, {}, {})
    folder.log({"step": 0, "seconds": 0.0})
    for other, what in (
        ({**IDENTITY, "base": "other"}, "another base"),
        ({**IDENTITY, "recipe": {"seed": 1, "base": "b"}}, "another recipe's seed"),
        ({**IDENTITY, "processes": 8}, "another processes"),
    ):
        with pytest.raises(InputError, match=what):
            folder.begin(other, {}, {})


def test_where_nothing_came_of_a_training_another_may_begin(folder: TrainingFolder) -> None:
    other = {**IDENTITY, "base": "other"}
    folder.begin(other, {}, {})
    record = folder.record()
    assert record
    assert (record["identity"], len(record["sessions"])) == (other, 1)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"identity": 3}', "nothing"])
def test_a_record_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(InputError, match=r"training\.json: not a training's record"):
        TrainingFolder(tmp_path).finished({})


def test_a_finished_record_is_finished(folder: TrainingFolder) -> None:
    recipe = json.loads(json.dumps(IDENTITY["recipe"]))
    assert not folder.finished(recipe)
    folder.finish()
    assert folder.finished(recipe)
