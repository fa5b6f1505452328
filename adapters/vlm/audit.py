"""The input audit: what reaches the model is what was made of the record, or there is no score.

It listens at the places that every input has to pass, the model's own forward call, what has its
pictures encoded, and its vision tower, and compares what arrives there with what was made of each
record by itself: its prompt, and every picture's values. Whatever is between (tokenizer, padding,
batching, a library's next version) cannot lose, swap or cut anything without being noticed. What the
chat template does to the prompt is checked where the prompt is built.
"""

import re
from collections.abc import Mapping, Sequence
from functools import wraps
from inspect import signature
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from f2rcli.adapters.vlm.inputs import InputBuilder, Shown, for_model
from f2rcli.adapters.vlm.listening import Heard, find_towers, same
from f2rcli.adapters.vlm.template import squash
from f2rcli.tasks.errors import InputError


class InputAudit:
    """Give it a batch before it is generated from, and ask for the faults afterwards.

    Raises InputError for a model in which it finds no place to listen.
    """

    def __init__(self, base: PreTrainedModel, builder: InputBuilder) -> None:
        self.tokenizer, self.pictures = builder.tokenizer, builder.pictures
        self.token, self.token_id = self.pictures.visual_token, self.pictures.visual_token_id
        wanted = getattr(base.config, "image_token_id", getattr(base.config, "image_token_index", None))
        if wanted is not None and wanted != self.token_id:
            what = f"the processor writes token {self.token_id} for pictures, the model reads {wanted}"
            raise InputError(what, fix="do processor and model belong together?")
        self.expected: Sequence[Shown] = []
        self.faults: list[str | None] = []
        self.read = True
        self.ids: Tensor | None = None  # that arrived, while features are awaited behind them
        self.heard: dict[str, Heard] = {}
        self.awaited: set[str] = set()  # image tensors that are not heard at the vision tower
        probe = builder.probe()
        batch = for_model(builder.collate([probe]), base)
        self.towers = find_towers(base, self.pictures, [probe], batch)
        self.pixels = frozenset(key for key in self.pictures.layouts if batch[key].is_floating_point())
        base.register_forward_pre_hook(self._on_forward, with_kwargs=True)
        self._listen_to_encoding(base.base_model)
        language: Any = base.get_decoder()  # type: ignore[no-untyped-call]
        language.register_forward_pre_hook(self._on_language, with_kwargs=True)
        for module, argument, key in self.towers:
            module.register_forward_pre_hook(self._on_tower(argument, key), with_kwargs=True)

    def arm(
        self,
        inputs: Sequence[Shown],
        batch: dict[str, Tensor],
        *,
        prompts: bool = True,
        pictures: bool = True,
    ) -> None:
        """Expect these inputs at the model, and compare their batch with them already.

        A model may make anything of a faulty batch, also an exception that says nothing of the cause.
        Without `prompts`, their pictures are only encoded; without `pictures`, they have been, and their
        features are expected at the language model.
        """
        self.expected = inputs
        self.faults = [None] * len(inputs)
        self.read = not prompts
        self.ids = None
        self.heard, self.awaited = {}, set()
        if prompts:
            self._compare_prompts(batch)
        if not any(one.images for one in inputs):
            return
        if pictures:
            self.heard = {key: Heard(key, self.pictures, inputs) for _, _, key in self.towers}
            self.awaited = set(self.pictures.layouts) - set(self.heard)
        elif prompts:
            self.ids = batch["input_ids"]
        for key in self.pictures.layouts if pictures else self.pictures.layouts.keys() - self.pixels:
            if key in batch:
                self._compare_pictures(key, batch[key])
            else:
                self._without_pictures(key)

    def found_in(self, inputs: Sequence[Shown]) -> list[str | None]:
        """The faults found so far in these inputs, for where something failed because of them."""
        found = {id(one): fault for one, fault in zip(self.expected, self.faults, strict=True)}
        return [found.get(id(one)) for one in inputs]

    def result(self) -> list[str | None]:
        """The faults found on the way through the model, one text or None a request."""
        for key, heard in self.heard.items():
            if not heard.arrived:
                self._every(f"nothing reached the vision tower ({key})")
            elif not heard.whole:
                self._every(f"{heard.arrived} units of {key} arrived instead of {heard.total}")
        for key in self.awaited:
            self._without_pictures(key)
        if not self.read:
            self._every("nothing reached the model")
        if self.ids is not None:
            self._without_pictures("features")
        return self.faults

    def _fault(self, row: int, what: str) -> None:
        self.faults[row] = self.faults[row] or f"input audit: {what}"

    def _every(self, what: str) -> None:
        for row in range(len(self.expected)):
            self._fault(row, what)

    def _on_forward(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.read:  # else it is a later token of the same answers
            self.read = True
            self._compare_prompts(kwargs)
            self._await(kwargs)

    def _listen_to_encoding(self, inside: Any) -> None:
        """`generate` has pictures encoded before the forward call, and tells that no more of them."""
        encode = getattr(inside, "get_image_features", None)
        if encode is None:
            return

        @wraps(encode)
        def listened(*args: Any, **kwargs: Any) -> Any:
            self._await(signature(encode).bind_partial(*args, **kwargs).arguments)
            return encode(*args, **kwargs)

        inside.get_image_features = listened

    def _await(self, arrived: Mapping[str, Any]) -> None:
        for key in sorted(self.awaited & arrived.keys()):
            if arrived[key] is not None:
                self.awaited.discard(key)
                self._compare_pictures(key, arrived[key])

    def _on_tower(self, argument: int | str, key: str) -> Any:
        def on_call(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if key not in self.heard:
                return
            heard = self.heard[key]
            arrived = args[argument] if isinstance(argument, int) else kwargs[argument]
            for row, k in heard.listen(arrived):
                self._fault(row, f"image {k} at the vision tower is not the record's image {k} ({key})")
            if heard.arrived > heard.total:
                self._every(f"{heard.arrived} units of {key} arrived instead of {heard.total}")

        return on_call

    def _on_language(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Features that were made once stand at every picture's own placeholders."""
        if self.ids is None or kwargs.get("inputs_embeds") is None:
            return
        ids, arrived = self.ids.to(kwargs["inputs_embeds"].device), kwargs["inputs_embeds"]
        self.ids = None  # later calls are of later tokens
        deeper = kwargs.get("deepstack_visual_embeds") or ()
        begin = 0
        for row, one in enumerate(self.expected):
            there = arrived[row, : ids.shape[1]][ids[row] == self.token_id]
            end = 0
            for k, (image, count) in enumerate(zip(one.images, one.visual_tokens, strict=True)):
                places = [there[end : end + count], *(layer[begin : begin + count] for layer in deeper)]
                assert image.features is not None
                made = [image.features.pooled, *image.features.deeper]
                if len(made) != len(places) or not all(map(same, places, made)):
                    self._fault(row, f"image {k} at the language model is not the record's image {k}")
                begin, end = begin + count, end + count

    def _compare_prompts(self, batch: dict[str, Any]) -> None:
        """Decoded again, every run of visual tokens as one placeholder, a prompt is its text."""
        ids, mask = batch["input_ids"], batch.get("attention_mask")
        name = self.pictures.types
        types = batch.get(name) if name else None
        mask = torch.ones_like(ids) if mask is None else mask  # left out where nothing is padded
        if len(ids) != len(self.expected):
            self._every(f"{len(ids)} prompts arrived for {len(self.expected)}")
            return
        for row, one in enumerate(self.expected):
            there = mask[row].bool()
            arrived = ids[row][there].tolist()
            if fault := self._compare_prompt(arrived, one):
                self._fault(row, fault)
            if name and types is None:
                self._fault(row, f"nothing says which tokens are visual ({name})")
            if types is not None:
                marked = types[row][there].tolist()
                if [marked] != self.pictures.marks([arrived]) or types[row][~there].any():
                    self._fault(row, f"visual tokens are not marked as such ({name})")

    def _compare_prompt(self, arrived: list[int], one: Shown) -> str | None:
        runs = [(token, len(list(run))) for token, run in groupby(arrived)]
        lengths = [length for token, length in runs if token == self.token_id]
        written = re.compile(f"(?:{re.escape(self.token)})+")
        wanted_lengths = [len(run) // len(self.token) for run in written.findall(one.expanded)]
        if lengths != wanted_lengths:
            return (
                f"placeholders of {lengths} visual tokens reached the model instead of {wanted_lengths}"
            )
        kept: list[int] = []
        for token, length in runs:
            kept += [token] * (1 if token == self.token_id else length)
        decoded = squash(
            self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )
        wanted = squash(written.sub(lambda _: self.token, one.expanded))
        begin = self.tokenizer.bos_token or ""
        if decoded in (wanted, begin + wanted):  # the tokenizer may write a first token of its own
            return None
        pairs = zip(decoded, wanted, strict=False)
        alike = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(decoded), len(wanted)))
        return (
            f"the prompt that reached the model has {len(decoded)} characters instead of "
            f"{len(wanted)} and differs after {alike}"
        )

    def _without_pictures(self, key: str) -> None:
        for row, one in enumerate(self.expected):
            if one.images:
                self._fault(row, f"its pictures did not reach the model ({key})")

    def _compare_pictures(self, key: str, arrived: Tensor) -> None:
        """Every picture's values in its place, in the record's order, and nothing besides."""
        if self.pictures.layouts[key] == "count":
            if arrived.tolist() != [len(one.images) for one in self.expected if one.images]:
                self._every(f"the numbers of pictures that arrived are others ({key})")
            return
        filled = end = 0
        for row, k, place, made in self.pictures.places(key, self.expected):
            nested = isinstance(place[0], int)
            there = arrived[place] if not nested or row < len(arrived) else arrived[:0]
            if not same(there, made):
                self._fault(row, f"image {k} of the batch is not the record's image {k} ({key})")
            filled += int(there.count_nonzero())
            end = len(self.expected) if nested else end + len(made)
        if (end, filled) != (len(arrived), int(arrived.count_nonzero())):
            self._every(f"something else than the records' pictures arrived ({key})")
