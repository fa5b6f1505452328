"""What a whole step costs: every picture once, the prompt three times, however many completions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate import PartialState
from counting import Counts
from recipes import write_grpo

from f2rcli.tasks.types import Request
from f2rcli.training.grpo.groups import Groups
from f2rcli.training.grpo.order import Order
from f2rcli.training.grpo.policy import Policy
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.grpo.steps import Steps
from f2rcli.training.recipe import load_recipe
from f2rcli.training.rewards import Rewards

Open = Callable[..., Any]
PATCHES = 16  # of a picture of 56 × 56 pixels, in squares of 14


def one_step(setting: Any, request: Request, folder: Path, **changes: Any) -> Counts:
    """Of a step of one prompt, whose completions all have 6 tokens."""
    changes = {"sampling.max_tokens": 6, "loop.prompts": 1, "loop.redraws": 0, **changes}
    file = write_grpo(folder / "recipe.toml", "unused", "unused", **changes)
    recipe = load_recipe(str(file), GrpoRecipe)
    order, rewards = Order(1, 1, 0, shuffled=False), Rewards({"format": 1.0}, None)
    groups = Groups(setting.loaded, setting.builder, [request], order, rewards, recipe, {-1})
    steps = Steps(Policy(setting.loaded, "tiny"), groups, recipe, 1, PartialState())
    setting.builder.cache.clear()  # of pictures that a test has seen
    counts: Counts = setting.count()
    figures, _ = steps.take(0)
    assert figures["completion_tokens"] == 6
    return counts


@pytest.mark.parametrize("group", [2, 8])
def test_a_step(setting: Any, pictured: Request, tmp_path: Path, group: int) -> None:
    """By rollout, reference and policy: the prompt in one row each. (A last token is never read.)"""
    length = len(setting.build(pictured).ids)
    counts = one_step(setting, pictured, tmp_path, **{"sampling.completions": group})
    written = 5 * group
    assert counts.passes == [(1, length), *[(group, 1)] * 5, *[(1, length + written)] * 2]
    assert counts.prompt_tokens(length) == 3 * length
    assert counts.calls == 8
    assert counts.places == 3 * (length + written)
    assert counts.patches == 3 * PATCHES  # three places for pictures
    assert counts.pictures == 2  # one of the files stands there twice


def test_more_updates_score_again(setting: Any, pictured: Request, tmp_path: Path) -> None:
    """Each by one more row; nothing of the pictures is done again."""
    length = len(setting.build(pictured).ids)
    changes = {"sampling.completions": 4, "objective.updates": 3}
    counts = one_step(setting, pictured, tmp_path, **changes)
    assert counts.prompt_tokens(length) == 5 * length
    assert (counts.patches, counts.pictures) == (3 * PATCHES, 2)


@pytest.mark.parametrize(("kind", "patches"), [("qwen2_5_vl", PATCHES), ("qwen3_vl", 4)])
def test_other_architectures(
    open_model: Open, pictured: Request, tmp_path: Path, kind: str, patches: int
) -> None:
    setting = open_model(kind)
    length = len(setting.build(pictured).ids)
    counts = one_step(setting, pictured, tmp_path, **{"sampling.completions": 8})
    assert counts.prompt_tokens(length) == 3 * length
    assert (counts.calls, counts.patches, counts.pictures) == (8, 3 * patches, 2)


def test_plain_rows_pay_for_every_completion(open_model: Open, spoken: Request, tmp_path: Path) -> None:
    """What the counters show where nothing is shared."""
    setting = open_model("windowed")
    length = len(setting.build(spoken).ids)
    counts = one_step(setting, spoken, tmp_path, **{"sampling.completions": 8})
    assert counts.prompt_tokens(length) == 3 * 8 * length
