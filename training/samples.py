"""Requests with their gold answers as training samples: the evaluation's prompt, then the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from f2rcli.adapters.vlm.inputs import InputBuilder, ModelInput
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Request

NO_LOSS = -100  # what PyTorch's cross-entropy leaves out


@dataclass(frozen=True, slots=True)
class Sample:
    """`answer` is what carries loss: the gold answer's tokens and the token that ends the turn."""

    prompt: ModelInput
    answer: list[int]

    @property
    def tokens(self) -> int:
        return len(self.prompt.ids) + len(self.answer)


class Samples(Dataset[Sample]):
    """Samples made from requests when they are asked for; their pictures would not fit into memory.

    `ends` are the tokens that end a generation. Raises InputError naming the record whose picture
    cannot be read.
    """

    def __init__(self, requests: Sequence[Request], inputs: InputBuilder, ends: set[int]) -> None:
        self.requests = requests
        self.inputs = inputs
        self.ends = ends

    def __len__(self) -> int:
        return len(self.requests)

    def __getitem__(self, index: int) -> Sample:
        request = self.requests[index]
        try:
            return Sample(self.inputs.build(request), self._answer(request))
        except InputError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            raise InputError(what, where=request.where, fix=error.fix) from None

    def _answer(self, request: Request) -> list[int]:
        """Tokenised apart from the prompt, as generation starts from the prompt's tokens as they are.

        What the template writes behind the end of the turn is never generated and not learnt.
        """
        assert request.gold is not None  # Task.requests raises for a record without one
        ending = self.inputs.ending(request, render_answer(request.gold))
        tokens: list[int] = self.inputs.tokenizer(ending, add_special_tokens=False)["input_ids"]
        end = next((place for place, token in enumerate(tokens) if token in self.ends), None)
        if end is None:
            raise InputError(
                "the chat template ends an answer with no token at which generation stops, so that "
                "the model would never learn to stop",
                fix="check eos_token_id in generation_config.json",
            )
        return tokens[: end + 1]

    def collate(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """A right-padded batch as the model takes it, and `labels` (batch × length)."""
        whole = [replace(one.prompt, ids=one.prompt.ids + one.answer) for one in samples]
        batch = self.inputs.collate(whole, padding="right")
        labels = torch.full_like(batch["input_ids"], NO_LOSS)
        for row, one in zip(labels, samples, strict=True):
            row[len(one.prompt.ids) : one.tokens] = torch.tensor(one.answer)
        return {**batch, "labels": labels}
