"""f2r calibrate: what is said before and after the choosing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("out", "said"),
    [("行.toml", "is there already"), (".", "is there already"), ("没有/行.toml", "cannot be written")],
)
def test_where_nothing_can_be_written_nothing_is_done(f2r: Run, out: str, said: str) -> None:
    """Not even the data is looked for."""
    Path("行.toml").touch()
    ended = f2r("calibrate", "-m", "qwen2-vl", "-t", "没有.json", "--name", "a", "-o", out)
    assert ended.complaint().startswith(f"{out}: {said}")


def test_a_place_that_was_tried_is_left_as_it_was(f2r: Run) -> None:
    f2r("calibrate", "-t", "没有.json", "--name", "a", "-o", "行.toml").complaint()
    assert not Path("行.toml").exists()


@pytest.mark.parametrize("name", ["", "a\nb", "hf:x", "a:b", "x.py:Y"])
def test_a_name_that_could_not_be_asked_for_is_refused(f2r: Run, chats: Path, name: str) -> None:
    ended = f2r("calibrate", "-t", chats, "--name", name, "-o", "行.toml")
    assert ended.complaint().startswith(f"--name: {name!r} is not a name")


@pytest.mark.parametrize(
    ("task", "told"), [("mini-mldr", True), ("mini-mldr-train", False), ("example", False)]
)
def test_choosing_on_what_models_are_tested_on_is_said(
    f2r: Run, small_mini: Path, task: str, told: bool
) -> None:
    ended = f2r("calibrate", "-t", task, "--name", "自己的", "-o", "行.toml")
    assert ended.code == 0
    assert ended.err.startswith("f2r: mini-mldr is what models are tested on: " if told else "")
    assert bool(ended.err) == told
