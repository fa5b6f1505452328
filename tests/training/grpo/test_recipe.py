"""Recipes of GRPO: the published one, and what is wrong in one line."""

from pathlib import Path
from typing import Any

import pytest
from recipes import write_grpo

from f2rcli.tasks.errors import InputError
from f2rcli.training.curriculum.recipe import CurriculumRecipe
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.recipe import load_recipe


def test_the_7b_recipe_is_the_published_one() -> None:
    recipe = load_recipe("f2rvlm-7b-grpo", GrpoRecipe)
    sampling, objective, rewards = recipe.sampling, recipe.objective, recipe.rewards
    assert (sampling.completions, sampling.temperature, sampling.top_p, sampling.top_k) == (
        8,
        1,
        0.85,
        50,
    )
    assert (sampling.max_tokens, recipe.prompts.max_images) == (1024, 8)
    assert (objective.epsilon, objective.epsilon_high, objective.beta) == (0.2, 0.28, 0.02)
    assert (rewards.f1, rewards.order_similarity_published, rewards.format) == (1, 1, 0.3)
    assert (rewards.order_similarity, rewards.mcc, rewards.exact_match) == (0, 0, 0)
    assert (recipe.optimiser.learning_rate, recipe.optimiser.warmup) == (2e-6, 0.03)
    assert (recipe.loop.prompts, recipe.loop.redraws, recipe.loop.epochs) == (1, 3, 1)
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout) == (8, 32, 0.05)


@pytest.mark.parametrize("size", ["nano", "f2rvlm-2b", "f2rvlm-3b", "f2rvlm-7b"])
def test_it_goes_on_from_its_curriculum(size: str) -> None:
    """Its model and its data, and the file that it leaves."""
    before = load_recipe(f"{size}-curriculum", CurriculumRecipe)
    recipe = load_recipe(f"{size}-grpo", GrpoRecipe)
    assert (recipe.base, recipe.adapter, recipe.data) == (before.base, before.adapter, before.data)
    assert recipe.curriculum == f"runs/curriculum/{before.name}/curriculum.jsonl"
    assert recipe.prompts.max_pixels == before.max_pixels


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sampling.completions": 1}, "sampling.completions 1 leaves nothing to compare"),
        ({"sampling.top_p": 1.2}, "sampling.top_p 1.2 is not a number above 0, up to 1"),
        ({"sampling.top_p": 0}, "sampling.top_p 0 is not"),
        ({"loop.epochs": 1}, "loop needs one of epochs and steps"),
        ({"loop.steps": None}, "loop needs one of epochs and steps"),
        ({"objective.epsilon": 1.0}, "objective.epsilon 1.0 is not a number from 0 to below 1"),
        ({"objective.updates": 0}, "objective.updates 0 is not a whole number above 0"),
        ({"rewards.f1": None, "rewards.format": 0}, "rewards needs a weight above 0"),
        ({"rewards.style": 1}, "rewards.style is no key"),
        ({"stage": "sft"}, "stage 'sft' is not grpo"),
        ({"method": "lora"}, "method is no key"),
    ],
)
def test_a_bad_recipe_is_one_line(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    file = write_grpo(tmp_path / "坏.toml", "qwen2-vl", "x", **changes)
    with pytest.raises(InputError) as caught:
        load_recipe(str(file), GrpoRecipe)
    assert str(caught.value).startswith(f"{file}: {complaint}")
    assert "\n" not in str(caught.value)
