"""Recipes of curricula, and what they name."""

from pathlib import Path

import pytest

from f2rcli.tasks.errors import InputError
from f2rcli.training.curriculum.recipe import CurriculumRecipe
from f2rcli.training.given import check_trained, training_task
from f2rcli.training.recipe import SftRecipe, load_recipe


def test_each_is_made_of_what_its_sft_leaves() -> None:
    nano = load_recipe("nano-curriculum", CurriculumRecipe)
    big = load_recipe("f2rvlm-7b-curriculum", CurriculumRecipe)
    assert (nano.base, nano.adapter) == ("f2rvlm-nano-sft", None)
    assert (nano.data, nano.precision) == ("mini-mldr-grpo", "float32")
    assert (big.requests, big.seed) == (None, None)
    assert big.base == load_recipe("f2rvlm-7b-sft", SftRecipe).base
    assert big.adapter == "runs/sft/f2rvlm-7b-sft/checkpoint"
    assert (big.data, big.precision, big.max_pixels) == ("MLDR_train_GRPO.json", "bfloat16", 602_112)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("seed = 1", "requests and seed go together"),
        ("requests = 1", "requests and seed go together"),
        ("momentum = 1", "momentum is no key"),
        ("batch_size = 0", "batch_size 0 is not a whole number above 0"),
        ("precision = 'half'", "precision 'half' is none of"),
        ("stage = 'sft'", "stage 'sft' is not curriculum"),
        ("adapter = 3", "adapter 3 is not text"),
    ],
)
def test_a_bad_recipe_is_one_line(tmp_path: Path, line: str, complaint: str) -> None:
    keys = {
        "stage": "'curriculum'",
        "base": "'x'",
        "data": "'x'",
        "precision": "'float32'",
        "batch_size": "1",
        "max_pixels": "784",
    }
    key, _, value = line.partition(" = ")
    file = tmp_path / "课程.toml"
    file.write_text("".join(f"{k} = {v}\n" for k, v in {**keys, key: value}.items()))
    with pytest.raises(InputError) as caught:
        load_recipe(str(file), CurriculumRecipe)
    assert str(caught.value).startswith(f"{file}: {complaint}")


def test_a_checkpoint_that_is_not_trained_yet_names_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        check_trained("runs/sft/nano-sft/checkpoint")
    line = "no such folder; `f2r train sft --config nano-sft` makes it"
    assert str(caught.value) == f"runs/sft/nano-sft/checkpoint: {line}"
    with pytest.raises(InputError, match=r"--config 我的\.toml` makes it"):
        check_trained(str(tmp_path / "runs/sft/我的/checkpoint"))
    Path("runs/sft/nano-sft/checkpoint").mkdir(parents=True)
    for name in ("runs/sft/nano-sft/checkpoint", "Qwen/Qwen2-VL-7B-Instruct", "没有/checkpoint"):
        check_trained(name)


def test_what_is_for_testing_only_is_not_trained_on(small_mini: Path) -> None:
    with pytest.raises(InputError, match="mini-wechat is for testing only"):
        training_task("mini-wechat", None)
    assert training_task("mini-mldr-train", None).name == "mini-mldr-train"
