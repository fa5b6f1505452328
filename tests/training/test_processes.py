"""Two processes (gloo) train the model that one process trains."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from handmade import lines
from recipes import LORA, write_grpo, write_recipe
from safetensors.torch import load_file

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.types import Request
from f2rcli.training.folder import TrainingFolder
from f2rcli.training.samples import Samples

pytestmark = pytest.mark.slow

# f2r with a reward that a random model gets some of; DIES_AT kills the second process in that step
F2R = """
import os, signal
import torch
from f2rcli.training import rewards
from f2rcli.training.trainer import AnswerTrainer

torch.set_num_threads(1)
rewards.REWARDS["f1"] = lambda completions, *_: [sum(map(ord, text)) % 7 / 7 for text in completions]
compute_loss, at = AnswerTrainer.compute_loss, os.environ.get("DIES_AT")

def dying(self, *args, **named):
    if at == str(self.state.global_step) and self.args.process_index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return compute_loss(self, *args, **named)

AnswerTrainer.compute_loss = dying
from f2rcli.main import main

main()
"""


def launched(
    folder: Path, processes: int, stage: str, recipe: Path, out: Path, **environment: str
) -> "subprocess.CompletedProcess[str]":
    script = folder / "f2r.py"
    script.write_text(F2R)
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    words = ["train", stage, "--config", str(recipe), "--out", str(out), "--device", "cpu"]
    return subprocess.run(
        [sys.executable, *launch, str(script), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def trained(folder: Path, processes: int, stage: str, recipe: Path, name: str = "") -> Path:
    out = folder / (name or f"{processes} 个进程")
    ended = launched(folder, processes, stage, recipe, out)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("checkpoint: ") == 1
    return out


def agree(one: Path, two: Path, name: str, figures: tuple[str, ...], rel: float = 1e-4) -> None:
    for mine, other in zip(lines(one / "log.jsonl"), lines(two / "log.jsonl"), strict=True):
        known = [figure for figure in figures if figure in mine]
        assert [mine[f] for f in known] == pytest.approx([other[f] for f in known], rel=rel, abs=1e-6)
    wanted, found = (load_file(folder / "checkpoint" / name) for folder in (one, two))
    for key, weight in wanted.items():
        torch.testing.assert_close(found[key], weight, rtol=10 * rel, atol=1e-5)


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


# The published recipes' ways, and a limit that drops samples so that those left can be shared evenly
PUBLISHED = {
    **LORA,
    "lora.dropout": 0.0,  # which no two processes draw alike
    "precision": "bfloat16",
    "loop.gradient_checkpointing": True,
    "loop.batch_size": 1,
    "optimiser.learning_rate": 1e-3,
    "loop.log_every": 1,
    "loop.steps": 4,
}


def without_the_longest(vlm: VLM, asked: list[Request]) -> tuple[int, dict[str, Any]]:
    """A limit below the longest samples, and what training.json then says."""
    samples = Samples(asked, vlm.inputs, {vlm.tokenizer.eos_token_id})
    tokens = [samples[i].tokens for i in range(len(asked))]
    dropped = [one.id for one, count in zip(asked, tokens, strict=True) if count == max(tokens)]
    assert len(dropped) == 1
    return max(tokens) - 1, {"used": len(asked) - 1, "dropped": dropped}


def counted(folder: Path) -> Any:
    return json.loads((folder / "training.json").read_text(encoding="utf-8"))["samples"]


@pytest.mark.parametrize(
    ("kind", "frozen"),
    [("qwen2_vl", True), ("qwen2_vl", False), ("qwen2_5_vl", True), ("qwen3_vl", True)],
)
def test_lora_in_the_published_ways(
    chats: Path,
    asked: list[Request],
    tmp_path: Path,
    load_vlm: Callable[..., VLM],
    kind: str,
    frozen: bool,
) -> None:
    base = getattr(tiny, kind)(tmp_path / kind)
    limit, counts = without_the_longest(load_vlm(base), asked)
    ways = {**PUBLISHED, "freeze_vision": frozen, "length.max_tokens": limit}
    alone, shared = (
        write_recipe(tmp_path / f"{n}.toml", base, chats, **ways, **{"loop.accumulation": n})
        for n in (2, 1)
    )
    one, two = trained(tmp_path, 1, "sft", alone), trained(tmp_path, 2, "sft", shared)
    assert counted(one) == counted(two) == counts
    agree(one, two, "adapter_model.safetensors", ("step", "samples", "dropped", "loss", "grad_norm"))


def test_a_launch_that_was_killed_goes_on(
    tiny_qwen2_vl: Path, chats: Path, asked: list[Request], vlm: VLM, tmp_path: Path
) -> None:
    limit, counts = without_the_longest(vlm, asked)
    ways = {**PUBLISHED, "length.max_tokens": limit, "lora.dropout": 0.1}
    recipe = write_recipe(tmp_path / "recipe.toml", tiny_qwen2_vl, chats, **ways)
    undisturbed = trained(tmp_path, 2, "sft", recipe, "一次训完")
    assert launched(tmp_path, 2, "sft", recipe, tmp_path / "断电", DIES_AT="3").returncode != 0
    assert TrainingFolder(tmp_path / "断电").latest_state()[0] == 2
    folder = trained(tmp_path, 2, "sft", recipe, "断电")
    assert counted(folder) == counted(undisturbed) == counts
    agree(undisturbed, folder, "adapter_model.safetensors", ("step", "samples", "dropped", "loss"))


@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        ("qwen2_vl", {}),
        *(
            (kind, {"precision": "bfloat16", "loop.gradient_checkpointing": True, "loop.steps": 3})
            for kind in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
        ),
    ],
)
def test_grpo(
    chats: Path,
    asked: list[Request],
    tmp_path: Path,
    load_vlm: Callable[..., VLM],
    kind: str,
    ways: dict[str, Any],
) -> None:
    """The longest prompts are passed over. In bfloat16, sums in another order are rounded otherwise."""
    base = getattr(tiny, kind)(tmp_path / kind)
    build = load_vlm(base).inputs.build
    changes = {
        "lora.dropout": 0.1,
        "loop.prompts": 4,
        "optimiser.learning_rate": 1e-3,
        "prompts.max_tokens": max(len(build(one).ids) for one in asked) - 1,
    }
    recipe = write_grpo(tmp_path / "recipe.toml", base, chats, **changes, **ways)
    one, two = trained(tmp_path, 1, "grpo", recipe), trained(tmp_path, 2, "grpo", recipe)
    figures = ("step", "reward", "reward_deviation", "unfit", "loss", "entropy", "gradient_norm")
    # (and then a divergence this small is little more than what was rounded)
    more, rel = ((), 2**-8) if ways else (("kl",), 1e-4)
    agree(one, two, "adapter_model.safetensors", (*figures, *more, "validation_joint_f1"), rel)
    assert sum(line.get("unfit", 0) for line in lines(two / "log.jsonl")) > 0
    assert lines(one / "completions.jsonl") == lines(two / "completions.jsonl")
