"""Greedy answers, with drafts that the model verifies.

Every prompt is read by itself, without padding. The answers are then written together: every call of
the model gets each answer's last token and a draft of what may follow it, and says what it would have
written at each of those places. The draft is kept as far as it says the same, and its own next token
comes behind that: just the tokens that it would have written one by one, in fewer calls. Rejected
tokens stay in the KV cache and are masked.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList

from f2rcli.adapters.vlm.engine.cache import joined, keeps_all

Draft = Callable[[list[int]], list[int]]  # the tokens that there are → a proposal of what follows


def no_draft(_: list[int]) -> list[int]:
    return []


@dataclass
class Answer:
    """An answer while it is written: its tokens, at most `cap`, and if they are asked for their
    log-probabilities in the model's own distribution. `broken`: that is not one of numbers."""

    cap: int
    draft: Draft = no_draft
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False
    broken: bool = False

    @property
    def running(self) -> bool:
        return not (self.ended or self.broken) and len(self.tokens) < self.cap

    def proposed(self) -> list[int]:
        """A draft that the answer has room for, and one token of the model's own behind it."""
        return self.draft(self.tokens)[: self.cap - len(self.tokens) - 1] if self.running else []


class WindowError(Exception):
    """The model keeps only a window of what it has read: rejected tokens would push others out."""


@dataclass
class Row:
    """An answer in a batch, behind the prompt that the model has read for it.

    `ids` are the prompt's tokens, `last` its last position (1 × 1, with as many axes in front as the
    model has kinds of positions). `penalties` are those of the generation config.
    """

    answer: Answer
    ids: Tensor
    cache: Any
    last: Tensor
    penalties: LogitsProcessorList
    types: tuple[str, ...]

    def take(self, draft: list[int], logits: Tensor, ends: set[int], logprobs: bool) -> int:
        """Keep what the model says as long as it says the draft, and one token more.

        `logits` are 1 + draft × vocabulary (or longer). Returns how many of the tokens before them are
        the answer's own.
        """
        answer, taken = self.answer, 0
        highest, best = (found.tolist() for found in logits.max(-1))  # NaN is higher than any number
        while answer.running and taken <= len(draft):
            if not math.isfinite(highest[taken]):
                answer.broken = True
                break
            token = self._penalised(logits[taken]) if self.penalties else best[taken]
            if logprobs:
                answer.logprobs.append(float(logits[taken].float().log_softmax(-1)[token]))
            answer.tokens.append(token)
            answer.ended = token in ends
            taken += 1
            if draft[taken - 1 : taken] != [token]:
                break
        return taken

    def _penalised(self, logits: Tensor) -> int:
        ids = torch.cat([self.ids, self.ids.new_tensor(self.answer.tokens)])
        scores = logits.float()[None].to(ids.device)
        return int(self.penalties(ids[None], scores).argmax())  # type: ignore[arg-type]


@dataclass
class Greedy:
    """`ends` are the tokens that end an answer; `logprobs` whether they are kept."""

    ends: set[int]
    logprobs: bool

    def read(self, answer: Answer) -> Callable[..., Row]:
        """Reads one prompt and begins its answer: `generate(custom_generate=…)`. Raises WindowError."""

        def reading(
            model: Any,
            input_ids: Tensor,
            logits_processor: LogitsProcessorList,
            stopping_criteria: Any,
            generation_config: GenerationConfig,
            **kwargs: Any,
        ) -> Row:
            cache = kwargs.get("past_key_values")
            if not keeps_all(cache):
                raise WindowError(f"{model.config.model_type} keeps only a window of what it has read")
            inputs = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **kwargs)
            logits = model(**inputs, return_dict=True).logits[0, -1:]
            named = ("token_type_ids", "mm_token_type_ids")
            types = tuple(name for name in named if kwargs.get(name) is not None)
            last = kwargs["position_ids"][..., -1:]
            row = Row(answer, input_ids[0], cache, last, logits_processor, types)
            row.take([], logits, self.ends, self.logprobs)
            return row

        return reading

    def write(self, model: Any, rows: Sequence[Row]) -> None:
        """Go on with all answers to their ends."""
        rows = [row for row in rows if row.answer.running]
        if not rows:
            return
        cache = joined([row.cache for row in rows])
        for row in rows:
            row.cache = None  # or every prompt's keys and values would stay in memory twice
        lengths = [len(row.ids) for row in rows]
        mask = _last(lengths, max(lengths), rows[0].ids)
        last = torch.cat([row.last for row in rows], -2)
        while running := [place for place, row in enumerate(rows) if row.answer.running]:
            if 2 * len(running) <= len(rows):  # not at every end, as the cache is copied
                kept = torch.tensor(running, device=mask.device)
                rows = [rows[place] for place in running]
                mask, last = mask[kept], last.index_select(-2, kept)
                cache.batch_select_indices(kept)
            drafts = [row.answer.proposed() for row in rows]
            fed = [[row.answer.tokens[-1], *draft] for row, draft in zip(rows, drafts, strict=True)]
            width = max(map(len, fed))
            ids = mask.new_tensor([one + one[-1:] * (width - len(one)) for one in fed])
            given = [len(one) * row.answer.running for one, row in zip(fed, rows, strict=True)]
            read = last.new_tensor([[len(row.answer.tokens)] for row in rows])
            logits = model(
                input_ids=ids,
                attention_mask=torch.cat([mask, _first(given, width, mask)], 1),
                position_ids=last + read + torch.arange(width, device=last.device),
                past_key_values=cache,
                use_cache=True,
                return_dict=True,
                **{name: torch.zeros_like(ids) for name in rows[0].types},
            ).logits
            taken = [
                row.take(draft, scores, self.ends, self.logprobs)
                for row, draft, scores in zip(rows, drafts, logits, strict=True)
            ]
            mask = torch.cat([mask, _first(taken, width, mask)], 1)


def _first(counts: Sequence[int], width: int, like: Tensor) -> Tensor:
    """Rows of ones, as many as counted, and zeros behind them: rows × width."""
    places = torch.arange(width, device=like.device)
    return (places < like.new_tensor(counts)[:, None]).to(like.dtype)


def _last(counts: Sequence[int], width: int, like: Tensor) -> Tensor:
    """Rows of zeros, and ones behind them, as many as counted."""
    return _first(counts, width, like).flip(-1)
