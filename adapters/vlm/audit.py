"""The input audit: what reached the model is the record, whole and in order, or there is no score.

It listens at two places that every input has to pass, the model's own forward call and its vision
tower, and compares what arrives there with what was made from each record alone. Nothing between the
two (templates, padding, batching, caches, a library's next version) can lose or swap an image or cut
a prompt without being noticed.
"""

import unicodedata
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from f2rcli.adapters.vlm.inputs import ModelInput
from f2rcli.tasks.errors import InputError


class InputAudit:
    """Arm it with a batch's inputs, generate, then ask for the faults: one text or None a request."""

    def __init__(self, base: PreTrainedModel, tokenizer: Any, image_token_id: int) -> None:
        tower = getattr(base.model, "visual", None)
        if tower is None:
            raise InputError(
                f"the input audit has no place to listen in a {base.config.model_type}",
                fix="supported are Qwen2-VL, Qwen2.5-VL and Qwen3-VL",
            )
        self.tokenizer = tokenizer
        self.image_token_id = image_token_id
        self.expected: list[ModelInput] = []
        self.faults: list[str | None] = []
        self.read = self.seen = True
        base.register_forward_pre_hook(self._on_forward, with_kwargs=True)
        tower.register_forward_pre_hook(self._on_tower, with_kwargs=True)

    def arm(self, inputs: list[ModelInput]) -> None:
        self.expected = inputs
        self.faults = [None] * len(inputs)
        self.read = False
        self.seen = not any(one.images for one in inputs)

    def result(self) -> list[str | None]:
        if not self.read or not self.seen:
            what = "the vision tower" if self.read else "the model"
            self.faults = [f"nothing reached {what}"] * len(self.expected)
        return self.faults

    def _fault(self, row: int, what: str) -> None:
        self.faults[row] = self.faults[row] or what

    def _on_forward(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The prompt: decoded again, every run of visual tokens as one placeholder, it is the text."""
        if self.read:
            return  # a later token of the same answers
        self.read = True
        ids, mask = kwargs["input_ids"], kwargs.get("attention_mask")
        mask = torch.ones_like(ids) if mask is None else mask  # left out where nothing is padded
        if len(ids) != len(self.expected):
            self.faults = [f"{len(ids)} prompts arrived for {len(self.expected)}"] * len(self.faults)
            return
        for row, one in enumerate(self.expected):
            if fault := self._compare_prompt(ids[row][mask[row].bool()].tolist(), one):
                self._fault(row, fault)

    def _compare_prompt(self, arrived: list[int], one: ModelInput) -> str | None:
        runs = [(token, len(list(run))) for token, run in groupby(arrived)]
        lengths = [length for token, length in runs if token == self.image_token_id]
        if lengths != one.visual_tokens:
            return (
                f"placeholders of {lengths} visual tokens reached the model instead of "
                f"{one.visual_tokens}"
            )
        kept: list[int] = []
        for token, length in runs:
            kept += [token] * (1 if token == self.image_token_id else length)
        decoded = _squash(self.tokenizer.decode(kept, skip_special_tokens=False))
        wanted = _squash(one.text)
        if decoded == wanted:
            return None
        pairs = zip(decoded, wanted, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(decoded), len(wanted)))
        return (
            f"the prompt that reached the model has {len(decoded)} characters instead of "
            f"{len(wanted)} and differs after {same}"
        )

    def _on_tower(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The pictures: patch by patch the values made from the record's files, in its order."""
        if self.seen:
            return
        self.seen = True
        pixels: Tensor = args[0] if args else kwargs["hidden_states"]
        begin = 0
        for row, one in enumerate(self.expected):
            for k, image in enumerate(one.images):
                made = image["pixel_values"].to(pixels.device, pixels.dtype)
                arrived = pixels[begin : begin + len(made)]
                begin += len(made)
                if not torch.equal(arrived, made):
                    self._fault(row, f"image {k} at the vision tower is not the record's image {k}")
        if begin != len(pixels):
            what = f"{len(pixels)} patches reached the vision tower instead of {begin}"
            for row in range(len(self.expected)):
                self._fault(row, what)


def _squash(text: str) -> str:
    """Tokenizers may normalise Unicode and white space; nothing else may change."""
    return "".join(unicodedata.normalize("NFC", text).split())
