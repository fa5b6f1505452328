"""Two processes (gloo) train the model that one process trains."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from handmade import lines
from recipes import write_grpo, write_recipe
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

# f2r with a reward that a random model gets some of
F2R = """
import pathlib, sys
import torch
from f2rcli.training import rewards

torch.set_num_threads(1)
rewards.REWARDS["f1"] = lambda completions, *_: [sum(map(ord, text)) % 7 / 7 for text in completions]
from f2rcli.main import main

main()
"""


def trained(folder: Path, processes: int, stage: str, recipe: Path) -> Path:
    script, out = folder / "f2r.py", folder / f"{processes} 个进程"
    script.write_text(F2R)
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    words = ["train", stage, "--config", str(recipe), "--out", str(out), "--device", "cpu"]
    ended = subprocess.run(
        [sys.executable, *launch, str(script), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("checkpoint: ") == 1
    return out


def agree(one: Path, two: Path, name: str, figures: tuple[str, ...]) -> None:
    for mine, other in zip(lines(one / "log.jsonl"), lines(two / "log.jsonl"), strict=True):
        known = [figure for figure in figures if figure in mine]
        assert [mine[f] for f in known] == pytest.approx([other[f] for f in known], rel=1e-4, abs=1e-6)
    wanted, found = (load_file(folder / "checkpoint" / name) for folder in (one, two))
    for key, weight in wanted.items():
        torch.testing.assert_close(found[key], weight, rtol=1e-3, atol=1e-5)


def test_sft(tiny_qwen2_vl: Path, chats: Path, tmp_path: Path) -> None:
    """Up to the end of an epoch: where samples cannot be shared evenly, the Trainer repeats some."""
    changes: dict[str, Any] = {
        "loop.batch_size": 1,
        "optimiser.learning_rate": 1e-3,
        "loop.log_every": 1,
        "loop.steps": 2,
    }
    alone, shared = (
        write_recipe(tmp_path / f"{n}.toml", tiny_qwen2_vl, chats, **changes, **{"loop.accumulation": n})
        for n in (2, 1)
    )
    one, two = trained(tmp_path, 1, "sft", alone), trained(tmp_path, 2, "sft", shared)
    agree(one, two, "model.safetensors", ("step", "loss", "grad_norm", "validation_joint_f1"))


def test_grpo(tiny_qwen2_vl: Path, chats: Path, tmp_path: Path) -> None:
    changes = {"lora.dropout": 0.1, "loop.prompts": 4, "optimiser.learning_rate": 1e-3}
    recipe = write_grpo(tmp_path / "recipe.toml", tiny_qwen2_vl, chats, **changes)
    one, two = trained(tmp_path, 1, "grpo", recipe), trained(tmp_path, 2, "grpo", recipe)
    figures = ("step", "reward", "reward_deviation", "loss", "kl", "entropy", "gradient_norm")
    agree(one, two, "adapter_model.safetensors", (*figures, "validation_joint_f1"))
    assert lines(one / "completions.jsonl") == lines(two / "completions.jsonl")
