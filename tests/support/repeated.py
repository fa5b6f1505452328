"""The plain way that a shared prompt is compared with: every completion a row, pictures and all."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import GenerationConfig

from f2rcli.adapters.vlm.inputs import InputBuilder, ModelInput


def score(
    model: Any,
    builder: InputBuilder,
    one: ModelInput,
    completions: Sequence[list[int]],
    temperature: float = 1.0,
) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities and entropies of the completions' tokens, from one right-padded batch."""
    rows = builder.collate([one] * len(completions))
    longest = max(map(len, completions))
    written = torch.tensor([each + [0] * (longest - len(each)) for each in completions])
    there = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in completions])
    rows["input_ids"] = torch.cat([rows["input_ids"], written], dim=1)
    rows["attention_mask"] = torch.cat([rows["attention_mask"], there], dim=1)
    rows["mm_token_type_ids"] = pad(rows["mm_token_type_ids"], (0, longest))
    logits = model(**rows, use_cache=False).logits[:, len(one.ids) - 1 : -1] / temperature
    every = torch.log_softmax(logits, dim=-1)
    picked = every.gather(2, written[..., None]).squeeze(2)
    entropy = -(every.exp() * every).sum(-1)
    sizes = list(map(len, completions))
    return (
        [row[:size] for row, size in zip(picked, sizes, strict=True)],
        [row[:size].detach() for row, size in zip(entropy, sizes, strict=True)],
    )


def sample(
    base: Any, rows: dict[str, Tensor], sampling: Any, cap: int, ends: set[int], seed: int
) -> list[list[int]]:
    """What `generate` samples for these rows, up to and with each one's first end token."""
    base.generation_config = GenerationConfig()  # the checkpoint's would fill in what is left open
    config = GenerationConfig(
        do_sample=True,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_new_tokens=cap,
        eos_token_id=sorted(ends),
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    written = base.eval().generate(**rows, generation_config=config)
    written = written[:, rows["input_ids"].shape[1] :].tolist()
    cuts = [next((i + 1 for i, token in enumerate(row) if token in ends), cap) for row in written]
    return [row[:cut] for row, cut in zip(written, cuts, strict=True)]
