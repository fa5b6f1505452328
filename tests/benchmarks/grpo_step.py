"""One step of GRPO, ours and TRL's: counts of work and seconds on one thread: `make bench`.

Both do all of a step but the update: the dialogue's pictures and text made ready, 8 completions of 40
tokens sampled at the published settings, scored by policy and reference, the loss, the gradient of the
adapter. TRL samples by itself, by transformers' `generate`. Rewards are given, and no completion ends
early. The checkpoint is a random one of Qwen2-VL's architecture, with a small vocabulary. (On a CPU, TRL
computes the output layer where nothing is scored, too, which costs next to nothing here.)
"""

import importlib.metadata
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import tiny
import torch
import transformers
from counting import Counts
from short_chats import picture, request
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from f2rcli.adapters.vlm.inputs import InputBuilder
from f2rcli.adapters.vlm.loading import Loaded, load
from f2rcli.tasks.types import Request
from f2rcli.training.grpo.objective import advantages, loss
from f2rcli.training.grpo.prompt import encode
from f2rcli.training.grpo.recipe import Sampling
from f2rcli.training.grpo.rollout import roll_out
from f2rcli.training.grpo.scoring import log_probabilities
from f2rcli.training.recipe import Lora
from f2rcli.training.tuning import prepare

ROUNDS = 3  # of both in turns, behind one that is thrown away
GROUP, TOKENS = 8, 40
SIDE, PICTURES, TURNS = 280, 4, 12  # pixels; a picture is 100 visual tokens
SAMPLING = Sampling(GROUP, temperature=1.0, top_p=0.85, top_k=50, max_tokens=TOKENS)
OBJECTIVE = {"epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.02}
REWARDS = [0.1, 1.3, 0.0, 0.4, 2.3, 0.4, 0.9, 1.7]
TARGETS = {"prompt tokens": 6, "vision patches": 8, "pictures preprocessed": 16, "CPU seconds": 3}


@dataclass
class Side:
    """Something that takes steps, what it counted in the last one, and seconds of all."""

    step: Callable[[], Any]
    counts: Counts
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def take(self) -> None:
        self.counts.clear()
        cpu, wall = time.process_time(), time.perf_counter()
        self.step()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)

    def figures(self, prompt: int) -> dict[str, float]:
        """By name; seconds are medians of the rounds behind the first."""
        return {
            "prompt tokens": self.counts.prompt_tokens(prompt),
            "all tokens": self.counts.places,
            "model calls": self.counts.calls,
            "vision patches": self.counts.patches,
            "pictures preprocessed": self.counts.pictures,
            "CPU seconds": statistics.median(self.cpu[1:]),
            "wall seconds": statistics.median(self.wall[1:]),
        }


def checkpoint(folder: Path) -> Path:
    """Hidden 256, 6 layers, a vision tower of 6 layers of 256."""
    tiny.qwen2_vl(folder)
    config: Any = transformers.AutoConfig.from_pretrained(folder)
    generation = transformers.GenerationConfig.from_pretrained(folder)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 256, 1024, 6
    text.num_attention_heads, text.num_key_value_heads = 8, 2
    text.layer_types = ["full_attention"] * text.num_hidden_layers
    text.rope_parameters["mrope_section"] = [4, 6, 6]
    vision.hidden_size, vision.embed_dim, vision.depth = 256, 256, 6
    vision.num_heads, vision.mlp_ratio = 4, 4
    torch.manual_seed(0)
    model = transformers.Qwen2VLForConditionalGeneration(config)
    model.generation_config = generation
    model.save_pretrained(folder)
    size = {"shortest_edge": 56 * 56, "longest_edge": SIDE * SIDE}
    Qwen2VLImageProcessorPil(size=size).save_pretrained(folder)
    return folder


def dialogue(folder: Path) -> Request:
    """12 turns, 4 of them with a picture."""
    files = [picture(folder / f"{i}.png", seed=i, size=(SIDE, SIDE)) for i in range(PICTURES)]
    turns: list[Any] = [f"第 {i} 句 find the images" for i in range(TURNS)]
    for number, file in enumerate(files):
        turns[3 * number + 1] = ("看这张图片", (file,))
    return request(*turns)


def adapted(folder: Path) -> Loaded:
    """With an adapter that does something."""
    loaded = load(folder, None, "float32", "cpu", SIDE * SIDE)
    prepared = prepare(loaded, Lora(rank=8, alpha=32, dropout=0.0), "random", freeze_vision=True)
    for name, weight in prepared.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return prepared


def ours(loaded: Loaded, asked: Request) -> Side:
    model, nothing = loaded.model, {-1}  # no token ends a completion
    builder = InputBuilder(loaded.processor)

    def step() -> None:
        builder.forget()  # of the step before
        prompt = encode(loaded, builder.build(asked), builder)
        completions = roll_out(model, prompt, SAMPLING, nothing, seed=0)
        with torch.no_grad(), model.disable_adapter():
            reference = log_probabilities(model, prompt, completions, 1.0).log_probs
        model.train()
        policy = log_probabilities(model, prompt, completions, 1.0).log_probs
        old = [one.detach() for one in policy]
        loss(policy, old, reference, advantages(REWARDS), **OBJECTIVE).total.backward()
        model.eval()
        model.zero_grad()
        assert [len(one) for one in completions] == [TOKENS] * GROUP

    return Side(step, Counts.of(loaded.base, loaded.processor))


def theirs(folder: Path, mine: Loaded, asked: Request, prompt: list[int]) -> Side:
    from trl_step import PublishedGroup, as_messages

    loaded = load(folder, None, "float32", "cpu", SIDE * SIDE)
    trainer = PublishedGroup(
        loaded.base,
        mine.model,
        loaded.processor,
        folder / "trl",
        **OBJECTIVE,
        temperature=SAMPLING.temperature,
        top_p=SAMPLING.top_p,
        top_k=SAMPLING.top_k,
        max_completion_length=TOKENS,
        generation_kwargs={"min_new_tokens": TOKENS},
    )
    builder = InputBuilder(loaded.processor)

    def step() -> None:
        rows = trainer.rows(as_messages(builder, asked), REWARDS)
        trainer.compute_loss(trainer.model, rows).backward()
        trainer.model.zero_grad()
        assert rows["prompt_ids"].tolist() == [prompt] * GROUP
        assert rows["completion_mask"].sum().item() == GROUP * TOKENS

    return Side(step, Counts.of(loaded.base, loaded.processor))


def table(mine: dict[str, float], other: dict[str, float] | None = None) -> str:
    def shown(value: float) -> str:
        return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"

    if other is None:
        lines = [f"| {name} | {shown(value)} |" for name, value in mine.items()]
        return "\n".join(["| of one step | ours |", "| --- | --- |", *lines])
    lines = []
    for name, value in mine.items():
        aim = f"≥ {TARGETS[name]} ×" if name in TARGETS else ""
        ratio = other[name] / value
        lines.append(f"| {name} | {shown(other[name])} | {shown(value)} | {ratio:.2f} × | {aim} |")
    return "\n".join(["| of one step | TRL | ours | ratio | target |", "| --- " * 5 + "|", *lines])


def main() -> None:
    warnings.simplefilter("ignore")  # TRL's, of its own imports
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    there = importlib.util.find_spec("trl") is not None
    packages = ["torch", "transformers", "peft", *(["trl"] if there else [])]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(f"{platform.platform()}, Python {platform.python_version()}, {versions}, one thread")
    with tempfile.TemporaryDirectory() as made:
        folder = checkpoint(Path(made) / "model")
        asked = dialogue(folder)
        mine = adapted(folder)
        prompt = InputBuilder(mine.processor).build(asked)
        print(f"a prompt of {len(prompt.ids)} tokens, {sum(prompt.visual_tokens)} of them visual")
        sides = [ours(mine, asked)]
        if there:
            sides.append(theirs(folder, mine, asked, prompt.ids))
        else:
            print("TRL is not installed (pip install trl==1.16.0): ours alone")
        for _ in range(1 + ROUNDS):
            for side in sides:
                side.take()
        print(table(*[side.figures(len(prompt.ids)) for side in sides]))
        if there:
            each = zip(sides[1].cpu[1:], sides[0].cpu[1:], strict=True)
            print("CPU, round by round:", ", ".join(f"{b:.2f} / {a:.2f} s" for b, a in each))
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
