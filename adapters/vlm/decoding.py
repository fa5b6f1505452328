"""How answers are decoded: greedily, under the checkpoint's own settings; and how sure the model was."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor


def greedy(checkpoint: GenerationConfig, tokenizer: Any, logprobs: bool) -> GenerationConfig:
    """The checkpoint's generation config without its sampling: penalties and end tokens stay.

    Qwen2-VL's, for one, says do_sample with top_k 1; Qwen2.5-VL's has a repetition penalty of 1.05.
    Which is kept shows in run.json. With `logprobs`, the raw logits of every step come along (4 bytes ×
    batch × vocabulary a token), and the run is another one than without.
    """
    applied = copy.deepcopy(checkpoint)
    applied.do_sample = False
    applied.num_beams = applied.num_return_sequences = 1
    applied.return_dict_in_generate = logprobs
    if logprobs:
        applied.output_logits = True
    applied.stop_strings = applied.max_time = None
    applied.temperature = applied.top_p = applied.top_k = None
    if applied.eos_token_id is None:
        applied.eos_token_id = tokenizer.eos_token_id
    if applied.pad_token_id is None:
        pad, end = tokenizer.pad_token_id, applied.eos_token_id
        applied.pad_token_id = pad if pad is not None else end[0] if isinstance(end, list) else end
    return applied


def shown(config: GenerationConfig) -> dict[str, Any]:
    """What differs from transformers' defaults; its own version is recorded elsewhere."""
    return {k: v for k, v in config.to_diff_dict().items() if k != "transformers_version"}


def logprobs_of(answers: Tensor, logits: Sequence[Tensor]) -> list[list[float]]:
    """Log-softmax of the raw logits (batch × vocabulary each step) at the tokens of the answers (batch ×
    steps): the model's own distribution, before penalties, as ms-swift writes it."""
    steps = zip(logits, answers.T.unsqueeze(-1), strict=True)
    found = torch.cat([one.log_softmax(-1).gather(1, chosen) for one, chosen in steps], 1)
    return [[float(value) for value in row] for row in found.tolist()]


class Numbers(LogitsProcessor):
    """Notes in which rows of a batch the model's distribution is not one of numbers; changes none."""

    def __init__(self) -> None:
        self.broken: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        broken = ~scores.amax(-1).isfinite()
        self.broken = broken if self.broken is None else self.broken | broken
        return scores
