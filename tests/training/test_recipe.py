"""Recipes: what ships can be read, and what is wrong is one line that names file and key."""

import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from recipes import LORA, write_recipe

from f2rcli.adapters.registry import find_row, load_rows
from f2rcli.tasks.errors import InputError
from f2rcli.training.curriculum.recipe import CurriculumRecipe
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.recipe import SftRecipe, load_part, load_recipe, shipped


def test_the_shipped_recipes_can_be_read() -> None:
    kinds: dict[str, Any] = {"curriculum": CurriculumRecipe, "grpo": GrpoRecipe, "sft": SftRecipe}
    assert {name.rpartition("-")[2] for name in shipped()} == set(kinds)
    assert shipped() == sorted(name for stage in kinds for name in shipped(stage))
    for stage, kind in kinds.items():
        assert all(load_recipe(name, kind).name == name for name in shipped(stage))


def test_the_recipes_of_a_family_are_over_its_checkpoint() -> None:
    bases = {
        "f2rvlm-2b-sft": "Qwen/Qwen2-VL-2B-Instruct",
        "f2rvlm-3b-sft": "Qwen/Qwen2.5-VL-3B-Instruct",
        "f2rvlm-7b-sft": "Qwen/Qwen2-VL-7B-Instruct",
        "internvl3-8b-sft": "OpenGVLab/InternVL3-8B-hf",
        "mimo-vl-7b-rl-sft": "XiaomiMiMo/MiMo-VL-7B-RL",
        "ovis2-2b-sft": "thisisiron/Ovis2-2B-hf",
        "qwen2.5-vl-7b-sft": "Qwen/Qwen2.5-VL-7B-Instruct",
    }
    assert set(bases) == set(shipped("sft")) - {"nano-sft"}
    for name, checkpoint in bases.items():
        row = find_row(load_recipe(name, SftRecipe).base, load_rows())
        assert row.settings["checkpoint"] == checkpoint
        limited = row.settings.get("model_type", "").startswith("qwen")  # others' pictures have no limit
        assert (load_recipe(name, SftRecipe).length.max_pixels is not None) == limited, name


def test_the_published_settings_are_the_same_in_all_of_them() -> None:
    """They differ in their base and in what is called after them, and in nothing else."""
    sft = load_recipe("f2rvlm-7b-sft", SftRecipe)
    for name in set(shipped("sft")) - {"nano-sft"}:
        one = load_recipe(name, SftRecipe)
        assert one.length.max_tokens == sft.length.max_tokens
        assert replace(one, name=sft.name, base=sft.base, length=sft.length) == sft
    measured = load_recipe("f2rvlm-7b-curriculum", CurriculumRecipe)
    rewarded = load_recipe("f2rvlm-7b-grpo", GrpoRecipe)
    for size in ("2b", "3b"):
        name = f"f2rvlm-{size}"
        called = {"base": load_recipe(f"{name}-sft", SftRecipe).base}
        called["adapter"] = f"runs/sft/{name}-sft/checkpoint"
        wanted = replace(measured, name=f"{name}-curriculum", **called)
        assert load_recipe(f"{name}-curriculum", CurriculumRecipe) == wanted
        called["curriculum"] = f"runs/curriculum/{name}-curriculum/curriculum.jsonl"
        assert load_recipe(f"{name}-grpo", GrpoRecipe) == replace(
            rewarded, name=f"{name}-grpo", **called
        )


@pytest.mark.parametrize("name", [name for name in shipped() if not name.startswith("nano")])
def test_a_recipe_tells_its_own_command(name: str) -> None:
    """Copied from another one, it would tell the other's."""
    text = resources.files("f2rcli.training").joinpath(f"recipes/{name}.toml").read_text("utf-8")
    told = re.findall(r"--config (\S+?)[` ]", text.partition("\nstage")[0])
    before = name.replace("-curriculum", "-sft")  # which leaves its adapter
    assert told == [before]


def test_the_readme_lists_every_recipe_with_its_base() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("|")]
    for name in shipped():
        base = load_part(name, "base", str)
        assert any(f"`{name}`" in row and f"`{base}`" in row for row in rows), name


def test_the_7b_recipe_is_the_published_one() -> None:
    recipe = load_recipe("f2rvlm-7b-sft", SftRecipe)
    lora, optimiser, loop = recipe.lora, recipe.optimiser, recipe.loop
    assert lora
    assert (lora.rank, lora.alpha, lora.dropout, lora.targets) == (8, 32, 0.05, None)
    assert (recipe.freeze_vision, recipe.precision) == (True, "bfloat16")
    assert (optimiser.learning_rate, optimiser.betas, optimiser.weight_decay) == (1e-4, (0.9, 0.95), 0.1)
    assert (optimiser.schedule, optimiser.warmup) == ("cosine", 0.05)
    assert (loop.epochs, loop.batch_size, loop.accumulation) == (1, 1, 4)
    assert (recipe.length.max_tokens, recipe.length.max_pixels) == (15_536, 602_112)


def test_a_file_is_read_into_the_recipe(tmp_path: Path) -> None:
    file = write_recipe(
        tmp_path / "我的.toml", "qwen2-vl", "数据.json", **LORA, **{"lora.targets": ["q"]}
    )
    recipe = load_recipe(str(file), SftRecipe)
    assert (recipe.name, recipe.base, recipe.data) == ("我的", "qwen2-vl", "数据.json")
    assert recipe.lora
    assert recipe.lora.targets == ("q",)
    assert (recipe.loop.steps, recipe.loop.epochs) == (6, None)


VALIDATION = ("validation.data", "validation.requests", "validation.every")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour is no key"),
    ({"name": "x"}, "name is no key"),
    ({"optimiser.momentum": 0.9}, "optimiser.momentum is no key"),
    ({"seed": None}, "seed is missing"),
    ({"stage": None}, "stage is missing"),
    ({"stage": "grpo"}, "stage 'grpo' is not sft; `f2r train` has a command for each"),
    ({"stage": 7}, "stage 7 is not sft"),
    ({"loop.batch_size": None}, "loop.batch_size is missing"),
    (dict.fromkeys(VALIDATION), "validation.data is missing"),
    ({"validation.data": ""}, "validation.data '' is not text"),
    ({"seed": 1.5}, "seed 1.5 is not a whole number"),
    ({"seed": True}, "seed True is not a whole number"),
    ({"seed": -1}, "seed -1 is not"),
    ({"freeze_vision": "no"}, "freeze_vision 'no' is not true or false"),
    ({"precision": "float16"}, "precision 'float16' is none of float32, bfloat16"),
    ({"method": 3}, "method 3 is none of full, lora"),
    ({"method": ["full"]}, "method ['full'] is none of full, lora"),
    ({"loop.batch_size": 0}, "loop.batch_size 0 is not a whole number above 0"),
    ({"optimiser.learning_rate": "1e-3"}, "optimiser.learning_rate '1e-3' is not a number above 0"),
    ({"optimiser.learning_rate": 0}, "optimiser.learning_rate 0 is not"),
    ({"optimiser.betas": [0.9]}, "optimiser.betas [0.9] is not two numbers"),
    ({"optimiser.betas": [0.9, 1.0]}, "optimiser.betas"),
    ({"optimiser.warmup": 1.0}, "optimiser.warmup 1.0 is not"),
    ({"optimiser.schedule": "constant"}, "optimiser.schedule 'constant' is none of cosine, linear"),
    ({"loop.epochs": 2}, "loop needs one of epochs and steps"),
    ({"loop.steps": None}, "loop needs one of epochs and steps"),
    ({"method": "lora"}, "the table lora goes with"),
    ({**LORA, "method": "full"}, "the table lora goes with"),
    ({**LORA, "lora.dropout": 1.0}, "lora.dropout 1.0 is not"),
    ({**LORA, "lora.targets": []}, "lora.targets [] is not a list of texts"),
    ({"report": ["trackio"]}, "report 'trackio' is none of tensorboard, wandb"),
    ({"report": "wandb"}, "report 'wandb' is not a list"),
]


@pytest.mark.parametrize(("changes", "complaint"), BAD)
def test_a_bad_recipe_is_one_line(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    file = write_recipe(tmp_path / "坏.toml", "qwen2-vl", "x", **changes)
    with pytest.raises(InputError) as caught:
        load_recipe(str(file), SftRecipe)
    assert str(caught.value).startswith(f"{file}: {complaint}")
    assert "\n" not in str(caught.value)


def test_a_table_that_is_a_value_or_left_out_is_one_line(tmp_path: Path) -> None:
    file = write_recipe(tmp_path / "坏.toml", "qwen2-vl", "x")
    rest = file.read_text().partition("[validation]")[0]
    for text, complaint in ((rest, "validation is missing"), (f"validation = 3\n{rest}", "no table")):
        file.write_text(text)
        with pytest.raises(InputError, match=complaint):
            load_recipe(str(file), SftRecipe)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"[a", "not TOML"), (b"\xff\xfe\xff", "cannot be read"), (None, "no such recipe")],
)
def test_a_file_that_is_no_recipe_is_one_line(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "recipe.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        load_recipe(str(file), SftRecipe)
    assert caught.value.where == str(file)
