"""Sampling a group of completions of one prompt."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from f2rcli.adapters.vlm.engine.cache import joined
from f2rcli.tasks.errors import InputError
from f2rcli.training.grpo.prompt import Plain, Prompt, Shared
from f2rcli.training.grpo.recipe import Sampling


@torch.no_grad()
def roll_out(
    model: Any, prompt: Prompt, sampling: Sampling, ends: set[int], seed: int
) -> list[list[int]]:
    """A group of completions; one that is not cut at `max_tokens` closes with a token of `ends`.

    Samples are the policy's own: a repetition penalty or the like in the checkpoint's generation config
    is not applied. They depend on the seed, not on the global random state, and are those of
    repeated rows in `generate` at that seed. A shared prompt goes through the model once, and its KV
    cache is repeated once; a plain one is repeated. The model is in evaluation mode meanwhile. Raises
    InputError for logits that are no numbers.
    """
    with _evaluating(model):
        if isinstance(prompt, Shared):
            tokens = _branches(model, prompt, sampling, ends, seed)
        else:
            assert isinstance(prompt, Plain)
            tokens = _rows(model, prompt, sampling, ends, seed)
    return [_until(ends, row) for row in tokens.tolist()]


def _branches(model: Any, prompt: Shared, sampling: Sampling, ends: set[int], seed: int) -> Tensor:
    count = sampling.completions
    generator = torch.Generator(prompt.ids.device).manual_seed(seed)
    warp: Any = _warpers(sampling)
    last = torch.tensor(sorted(ends), device=prompt.ids.device)
    running = torch.ones(count, 1, dtype=torch.bool, device=prompt.ids.device)
    once = DynamicCache()
    logits = model(
        input_ids=prompt.ids,
        position_ids=prompt.positions,
        past_key_values=once,
        use_cache=True,
        logits_to_keep=1,
        **prompt.seen(),
    ).logits
    cache = joined([once] * count)
    logits = logits.expand(count, -1, -1)
    drawn: list[Tensor] = []
    while True:
        if not logits.isfinite().all():
            raise InputError("the policy's logits are no numbers", fix="lower learning_rate")
        scores = warp(prompt.ids, logits[:, -1].float())
        drawn.append(torch.multinomial(scores.softmax(-1), 1, generator=generator))
        running &= ~torch.isin(drawn[-1], last)
        if len(drawn) == sampling.max_tokens or not running.any():
            return torch.cat(drawn, dim=1)
        logits = model(
            input_ids=drawn[-1],
            position_ids=prompt.positions_after(len(drawn) - 1, 1).expand(-1, count, -1),
            past_key_values=cache,
            use_cache=True,
        ).logits


def _rows(model: Any, prompt: Plain, sampling: Sampling, ends: set[int], seed: int) -> Tensor:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_new_tokens=sampling.max_tokens,
        num_return_sequences=sampling.completions,
        eos_token_id=sorted(ends),
        pad_token_id=min(ends),
    )
    # what a given config leaves open is taken from the checkpoint's
    checkpoints, base.generation_config = base.generation_config, config
    device = prompt.ids.device
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            written: Tensor = base.generate(**prompt.row, generation_config=config)
    finally:
        base.generation_config = checkpoints
    return written[:, prompt.length :]


def _warpers(sampling: Sampling) -> LogitsProcessorList:
    made = LogitsProcessorList()
    if sampling.temperature != 1:
        made.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        made.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        made.append(TopPLogitsWarper(sampling.top_p))
    return made


def _until(ends: set[int], row: list[int]) -> list[int]:
    end = next((place for place, token in enumerate(row) if token in ends), len(row))
    return row[: end + 1]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Every part of the model in evaluation mode, and afterwards in the mode that it was in."""
    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
