"""Log-probabilities of a group of completions of one prompt, with the prompt computed once."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from f2rcli.tasks.errors import InputError
from f2rcli.training.grpo.prompt import Plain, Prompt, Shared


@dataclass(frozen=True, eq=False)
class Scored:
    """One tensor a completion, one float32 value a token, in nats; entropies carry no gradient."""

    log_probs: list[Tensor]
    entropies: list[Tensor]


def log_probabilities(
    model: Any, prompt: Prompt, completions: list[list[int]], temperature: float
) -> Scored:
    """Log-probability of every token, given the prompt and the completion's tokens before it, and the
    entropy of the distribution that it is from: softmax(logits / temperature), of all tokens.

    A shared prompt and all completions (each of at least one token) are one row. Every completion sees
    the prompt and itself, and its positions go on from the prompt's (a tree). Logits are made at the
    prompt's last place and behind that, and are held once; what else is as large as a vocabulary is
    there for one completion at a time. For a plain prompt every completion is computed with the prompt
    in a row of its own. The model stays in its mode. With gradient checkpointing, no backward pass may
    run inside `disable_adapter()`. Raises InputError where a plain row holds a sampled placeholder of
    pictures, which other architectures would take for one.
    """
    if isinstance(prompt, Shared):
        parts = _tree(model, prompt, completions)
    else:
        assert isinstance(prompt, Plain)
        parts = [_row(model, prompt, completion) for completion in completions]
    log_probs, entropies = [], []
    for completion, (first, others) in zip(completions, parts, strict=True):
        tokens = torch.tensor(completion, device=prompt.ids.device)
        # Checkpointed, so that of all the vocabulary's values only the logits wait for the gradient.
        picked, entropy = checkpoint(
            _of_tokens,
            first,
            others,
            tokens,
            temperature,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        log_probs.append(picked)
        entropies.append(entropy)
    return Scored(log_probs, entropies)


def _of_tokens(
    first: Tensor, others: Tensor, tokens: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy (both: tokens) from logits of 1 and tokens - 1 places."""
    logits = torch.cat([first, others]).float() / temperature
    every = logits.log_softmax(dim=-1)
    picked = every.gather(1, tokens[:, None]).squeeze(1)
    with torch.no_grad():
        entropy = torch.special.entr(every.exp()).sum(dim=-1)
    return picked, entropy


def _tree(model: Any, prompt: Shared, completions: list[list[int]]) -> list[tuple[Tensor, Tensor]]:
    """Of each completion, the logits at the prompt's last place (1 × vocabulary) and at its own places.

    The last token of a completion has nothing behind it to predict and is left out.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    lengths = [len(completion) - 1 for completion in completions]
    written = prompt.ids.new_tensor([[token for each in completions for token in each[:-1]]])
    behind = [prompt.positions_after(0, length) for length in lengths]
    mask = _tree_mask(prompt.length, lengths, prompt.ids.device)
    if base.config.get_text_config()._attn_implementation == "eager":  # adds its mask to the scores
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, float("-inf"))
    logits: Tensor = model(
        input_ids=torch.cat([prompt.ids, written], dim=1),
        attention_mask=mask,
        position_ids=torch.cat([prompt.positions, *behind], dim=2),
        use_cache=False,
        logits_to_keep=1 + sum(lengths),
        **prompt.seen(int((written == prompt.image_token_id).sum())),
    ).logits
    first, *others = torch.split(logits[0], [1, *lengths])
    return [(first, each) for each in others]


def _tree_mask(prompt: int, lengths: list[int], device: torch.device) -> Tensor:
    """1 × 1 × places × places: whether a place (row) sees another (column)."""
    sizes = torch.tensor([prompt, *lengths], device=device)
    branch = torch.arange(len(sizes), device=device).repeat_interleave(sizes)
    mask = (branch == 0) | (branch[:, None] == branch)
    return mask.tril()[None, None]


def _row(model: Any, prompt: Plain, completion: list[int]) -> tuple[Tensor, Tensor]:
    """Logits before the first and before the other tokens of one completion."""
    row = dict(prompt.row)
    written = prompt.ids.new_tensor([completion[:-1]])
    if "pixel_values" in row and (written == prompt.image_token_id).any():
        raise InputError(
            "a sampled answer holds the token that stands for a picture",
            fix="lower top_p or top_k of the recipe, so that tokens this unlikely are not drawn",
        )
    row["input_ids"] = torch.cat([prompt.ids, written], dim=1)
    row["attention_mask"] = torch.ones_like(row["input_ids"])
    if "mm_token_type_ids" in row:
        row["mm_token_type_ids"] = pad(row["mm_token_type_ids"], (0, written.shape[1]))
    logits: Tensor = model(**row, use_cache=False, logits_to_keep=len(completion)).logits[0]
    return logits[:1], logits[1:]
