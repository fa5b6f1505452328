"""Models that write what a test tells them to, and the answers of a run as tokens."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine.greedy import Answer
from f2rcli.tasks.types import Request


def script(vlm: VLM, answers: Mapping[str, Sequence[int]], requests: Sequence[Request]) -> None:
    """The model answers each request, by its id, with these tokens.

    It knows where it is by the last token's position and by what that token is, in drafts, batches and
    plain decoding alike: at the right position and behind the right token comes the script's next one,
    anywhere else an exclamation mark. (Requests without pictures, of lengths far enough apart.)
    """
    following: dict[tuple[int, int], int] = {}
    for one in requests:
        ids = vlm.inputs.build(one).ids
        written = [ids[-1], *answers[one.id]]
        for position, (token, after) in enumerate(pairwise(written), len(ids) - 1):
            assert following.setdefault((position, token), after) == after, "prompts of other lengths"
    astray = vlm.tokenizer.convert_tokens_to_ids("!")
    here: list[list[int]] = []  # of every place that the model sees, what it is to write there

    def before(model: Any, args: Any, given: dict[str, Any]) -> None:
        positions, ids = given["position_ids"], given["input_ids"]
        positions = positions[-1] if positions.ndim == 3 else positions
        positions = positions.expand(len(ids), -1)
        here[:] = [
            [following.get(pair, astray) for pair in zip(*row, strict=True)]
            for row in zip(positions.tolist(), ids.tolist(), strict=True)
        ]

    def say(head: Any, args: Any, logits: Tensor) -> Tensor:
        logits = logits.clone()
        for row, tokens in zip(logits, here, strict=True):
            for place, token in zip(row, tokens[-len(row) :], strict=True):
                place[token] = place.max() + 10
        return logits

    vlm.base.register_forward_pre_hook(before, with_kwargs=True)
    vlm.base.get_output_embeddings().register_forward_hook(say)


def written(vlm: VLM, requests: Sequence[Request]) -> dict[str, Answer]:
    """The answers to these requests, each of them without an error."""
    kept: dict[str, Answer] = {}
    original = vlm.engine.write

    def write(batch: Any, answers: Sequence[Answer]) -> Any:
        kept.update(zip((one.request.id for one in batch), answers, strict=True))
        return original(batch, answers)

    vlm.engine.write = write  # type: ignore[method-assign]
    try:
        got = list(vlm.retrieve(requests))
    finally:
        del vlm.engine.write
    assert [one.failure for one in got if one.failed] == []
    assert sorted(kept) == sorted(one.id for one in requests)
    return kept


def assert_same(got: dict[str, Answer], wanted: dict[str, Answer]) -> None:
    """Token by token, with the same log-probabilities."""
    assert got.keys() == wanted.keys()
    for name, one in wanted.items():
        other = got[name]
        assert (other.tokens, other.ended, other.broken) == (one.tokens, one.ended, one.broken)
        assert other.logprobs == pytest.approx(one.logprobs, abs=1e-4)
        assert len(one.logprobs) == len(one.tokens)
