"""The input audit: what reaches the model is what was made of the record, or there is no score.

It listens at two places that every input has to pass, the model's own forward call and its vision
tower, and compares what arrives there with what was made of each record by itself: its prompt, and
every picture's patches. Whatever is between (tokenizer, padding, batching, a library's next version)
cannot lose, swap or cut anything without being noticed. What the chat template does to the prompt is
checked where the prompt is built.
"""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from f2rcli.adapters.vlm.inputs import ModelInput, squash
from f2rcli.adapters.vlm.loading import vision_tower


class InputAudit:
    """Give it a batch before it is generated from, and ask for the faults afterwards."""

    def __init__(self, base: PreTrainedModel, tokenizer: Any, image_token_id: int) -> None:
        tower = vision_tower(base)
        self.tokenizer = tokenizer
        self.image_token_id = image_token_id
        self.expected: list[ModelInput] = []
        self.faults: list[str | None] = []
        self.read = self.seen = True
        base.register_forward_pre_hook(self._on_forward, with_kwargs=True)
        tower.register_forward_pre_hook(self._on_tower, with_kwargs=True)

    def arm(self, inputs: list[ModelInput], batch: dict[str, Tensor]) -> None:
        """Expect these inputs at the model, and compare their batch with them already.

        A model may make anything of a faulty batch, also an exception that says nothing of the cause.
        """
        self.expected = inputs
        self.faults = [None] * len(inputs)
        self.read = False
        self.seen = not any(one.images for one in inputs)
        self._compare_prompts(batch)
        if not self.seen:
            nothing = torch.empty(0)
            pixels, grids = (batch.get(key, nothing) for key in ("pixel_values", "image_grid_thw"))
            self._compare_pictures(pixels, grids)

    def found_in(self, inputs: list[ModelInput]) -> list[str | None]:
        """The faults found so far in these inputs, for where something failed because of them."""
        return self.faults if self.expected is inputs else [None] * len(inputs)

    def result(self) -> list[str | None]:
        """The faults found on the way through the model, one text or None a request."""
        if not self.read or not self.seen:
            what = "the vision tower" if self.read else "the model"
            self.faults = [f"input audit: nothing reached {what}"] * len(self.expected)
        return self.faults

    def _fault(self, row: int, what: str) -> None:
        self.faults[row] = self.faults[row] or f"input audit: {what}"

    def _on_forward(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.read:  # else it is a later token of the same answers
            self.read = True
            self._compare_prompts(kwargs)

    def _on_tower(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.seen:
            self.seen = True
            pixels = args[0] if args else kwargs["hidden_states"]
            self._compare_pictures(pixels, kwargs["grid_thw"])

    def _compare_prompts(self, batch: dict[str, Any]) -> None:
        """Decoded again, every run of visual tokens as one placeholder, a prompt is its text."""
        ids, mask = batch["input_ids"], batch.get("attention_mask")
        types = batch.get("mm_token_type_ids")
        mask = torch.ones_like(ids) if mask is None else mask  # left out where nothing is padded
        if len(ids) != len(self.expected):
            for row in range(len(self.expected)):
                self._fault(row, f"{len(ids)} prompts arrived for {len(self.expected)}")
            return
        for row, one in enumerate(self.expected):
            if fault := self._compare_prompt(ids[row][mask[row].bool()].tolist(), one):
                self._fault(row, fault)
            visual = (ids[row] == self.image_token_id) & mask[row].bool()
            if types is not None and not torch.equal(types[row] == 1, visual):
                self._fault(row, "visual tokens are not marked as such (mm_token_type_ids)")

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
        decoded = squash(
            self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )
        wanted = squash(one.text)
        if decoded == wanted:
            return None
        pairs = zip(decoded, wanted, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(decoded), len(wanted)))
        return (
            f"the prompt that reached the model has {len(decoded)} characters instead of "
            f"{len(wanted)} and differs after {same}"
        )

    def _compare_pictures(self, pixels: Tensor, grids: Tensor) -> None:
        """Patch by patch the values made from the record's files, in its order, in their shape."""
        begin = place = 0
        for row, one in enumerate(self.expected):
            for k, image in enumerate(one.images):
                made = image["pixel_values"].to(pixels.device, pixels.dtype)
                patches, grid = pixels[begin : begin + len(made)], grids[place : place + 1]
                begin, place = begin + len(made), place + 1
                same_shape = torch.equal(grid.cpu(), image["image_grid_thw"])
                if not same_shape or not torch.equal(patches, made):
                    self._fault(row, f"image {k} at the vision tower is not the record's image {k}")
        if (begin, place) != (len(pixels), len(grids)):
            what = f"{len(grids)} images of {len(pixels)} patches arrived instead of {place} of {begin}"
            for row in range(len(self.expected)):
                self._fault(row, what)
