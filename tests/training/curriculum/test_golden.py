"""Every value of the published curriculum, on its own data and answers."""

import json
from pathlib import Path
from typing import Any

import asked
import official
import pytest

from f2rcli.tasks.jsonstream import read_values
from f2rcli.training.curriculum.difficulty import Curriculum
from f2rcli.training.curriculum.measuring import Measured, measure


@pytest.fixture(scope="module")
def measured(golden: Path) -> Measured:
    folder = golden / "curriculum"
    return measure(folder / "cold_start_predictions.jsonl", asked.selection(folder / "train.json"))


@pytest.fixture(scope="module")
def theirs(golden: Path) -> dict[str, Any]:
    file = golden / "curriculum/expected.json"
    return dict(json.loads(file.read_text(encoding="utf-8")))


def name(request: str) -> str:
    return request.removesuffix(":0")  # no dialogue is there twice


def test_f1_and_class_of_every_sample(measured: Measured, theirs: dict[str, Any]) -> None:
    found = {
        name(sample.request): {"difficulty": difficulty, "avg_f1": sample.f1}
        for difficulty, samples in Curriculum(measured.samples).classes.items()
        for sample in samples
        if name(sample.request) not in theirs["dropped"]
    }
    assert found == theirs["categories"]


def test_what_is_dropped(measured: Measured, theirs: dict[str, Any]) -> None:
    classes = Curriculum(measured.samples).classes
    dropped = [s for part in ("easy", "middle") for s in classes[part] if s.empty]
    assert sorted(name(sample.request) for sample in dropped) == theirs["dropped"]
    assert set(theirs) == {"categories", "dropped", "curriculum_order"}


def test_the_order_of_training(measured: Measured, theirs: dict[str, Any]) -> None:
    kept = Curriculum(measured.samples).kept.values()
    assert [name(s.request) for part in kept for s in part] == theirs["curriculum_order"]


def test_answers_without_logprobs_are_counted(measured: Measured) -> None:
    assert measured.without_logprobs == 7
    assert [s.entropy for s in measured.samples].count(10.0) == 7
    assert measured.failures == {}


def test_the_order_of_lines_makes_no_difference(
    measured: Measured, golden: Path, tmp_path: Path
) -> None:
    """As where several processes of another tool answered."""
    folder = golden / "curriculum"
    lines = [entry.value for entry in read_values(folder / "cold_start_predictions.jsonl")]
    shuffled = official.write(tmp_path / "乱.jsonl", *lines[::2], *lines[1::2])
    assert measure(shuffled, asked.selection(folder / "train.json")) == measured
