"""Every figure of the published scoring script, on its own files."""

import json
from pathlib import Path
from typing import Any

import pytest

from f2rcli.tasks.predictions import read_predictions
from f2rcli.tasks.scoring import score

NAMES = {"utterance": "sentence_metrics", "image": "image_metrics", "joint": "joint_metrics"}
FILES = [f"predictions_{n}.jsonl" for n in range(6)]


def expected(golden: Path, file: str, average: str) -> dict[str, Any]:
    text = (golden / "metrics/expected.json").read_text(encoding="utf-8")
    return dict(json.loads(text)[file][average])


@pytest.mark.parametrize("file", FILES)
def test_micro_is_theirs_to_the_four_decimals_they_print(file: str, golden: Path) -> None:
    found = score(read_predictions(golden / "metrics" / file))["published"].result("micro")
    theirs = expected(golden, file, "micro")
    for name, key in NAMES.items():
        ours = {f"global_{metric}": round(value, 4) for metric, value in found[name].items()}
        assert ours == theirs[key]
    assert found["samples"] == theirs["num_samples"]


@pytest.mark.parametrize("file", FILES)
def test_macro_is_theirs_exactly(file: str, golden: Path) -> None:
    found = score(read_predictions(golden / "metrics" / file))["published"].result("macro")
    theirs = expected(golden, file, "macro")
    for name, key in NAMES.items():
        assert {f"avg_{metric}": value for metric, value in found[name].items()} == theirs[key]
    assert found["samples"] == theirs["num_samples"]


def test_no_file_of_theirs_is_left_out(golden: Path) -> None:
    text = (golden / "metrics/expected.json").read_text(encoding="utf-8")
    assert sorted(json.loads(text)) == FILES
