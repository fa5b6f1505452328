"""kill -9 at any moment of GRPO: the same command goes on, as if nothing had been."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from handmade import lines
from recipes import write_grpo
from safetensors.torch import load_file

from f2rcli.training.folder import TrainingFolder

# Trains in a process of its own, which kills itself when a function is called for the nth time.
TRAINING = """
import importlib, os, pathlib, signal, sys
import torch
from f2rcli.training import rewards
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.grpo.training import train
from f2rcli.training.recipe import load_recipe

torch.set_num_threads(1)
recipe, out, module, path, calls = sys.argv[1:]
rewards.REWARDS["f1"] = lambda completions, *_: [sum(map(ord, text)) % 7 / 7 for text in completions]
if module:
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    function, left = getattr(owner, name), [int(calls)]

    def dying(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(owner, name, dying)
train(load_recipe(recipe, GrpoRecipe), pathlib.Path(out), device="cpu")
"""
STEPS, LOOP = "f2rcli.training.grpo.steps", "f2rcli.training.grpo.training"
MOMENTS = {  # what kills it when it is called for the nth time, and the step from which it goes on
    "in the middle of a step": (STEPS, "loss", 8, 2),
    "between an update and its log": (LOOP, "Log.step", 4, 2),
    "before a state has its name": (LOOP, "TrainingFolder.keep", 2, 2),
    "in a validation": (LOOP, "Validator.scores", 1, 2),
    "before the checkpoint has its name": (LOOP, "publish", 1, 4),
}


def trained(recipe: Path, out: Path, module: str = "", path: str = "", calls: int = 0) -> int:
    command = [sys.executable, "-c", TRAINING, str(recipe), str(out), module, path, str(calls)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode


def left_behind(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Log without times, and completions."""
    logged = [
        {key: value for key, value in line.items() if "seconds" not in key}
        for line in lines(folder / "log.jsonl")
    ]
    return logged, lines(folder / "completions.jsonl")


@pytest.fixture(scope="module")
def recipe(tiny_qwen2_vl: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("配方") / "recipe.toml"
    return write_grpo(file, tiny_qwen2_vl, chats, **{"lora.dropout": 0.2, "loop.steps": 5})


@pytest.fixture(scope="module")
def undisturbed(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("一次训完") / "训练"
    assert trained(recipe, folder) == 0
    return folder


@pytest.mark.parametrize(
    "moment",
    [
        name if number == 0 else pytest.param(name, marks=pytest.mark.slow)
        for number, name in enumerate(MOMENTS)
    ],
)
def test_a_killed_training_ends_like_an_undisturbed_one(
    recipe: Path, undisturbed: Path, tmp_path: Path, moment: str
) -> None:
    *kill, step = MOMENTS[moment]
    folder = tmp_path / "断电"
    assert trained(recipe, folder, *kill) == -signal.SIGKILL
    assert TrainingFolder(folder).latest_state()[0] == step
    assert trained(recipe, folder) == 0
    assert left_behind(folder) == left_behind(undisturbed)
    ends, wanted = (load_file(f / "checkpoint/adapter_model.safetensors") for f in (folder, undisturbed))
    assert ends.keys() == wanted.keys()
    assert all(torch.equal(ends[name], wanted[name]) for name in wanted)
    assert any(line["kl"] > 0 for line in left_behind(folder)[0] if "kl" in line)
