"""Every picture through the vision tower once, for all queries of its dialogue.

What the model makes of a picture depends on nothing but the picture, so its features are kept and
handed to the model with every prompt in which it stands. How they are handed over is the library's own
way (`mm_encoder_outputs`); how an architecture's features belong to its pictures is learnt from three
pictures, and that it then reads the same as with pixels is tried before anything is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from f2rcli.adapters.vlm.audit import InputAudit
from f2rcli.adapters.vlm.inputs import InputBuilder, Shown, for_model
from f2rcli.adapters.vlm.listening import reach_language, same
from f2rcli.adapters.vlm.pictures import Features, Picture
from f2rcli.tasks.errors import InputError

SPLIT = ("pooler_output", "deepstack_features")  # of pictures, one under the other
UNREAD = ("hidden_state", "hidden_states", "attentions")  # endings: the tower's own, read by no model


class Vision:
    """Encodes the pictures of requests that share them, dialogue by dialogue, audited.

    Raises InputError, saying why, for an architecture of which it cannot be shown that it reads the
    same: its pictures then go with every prompt.
    """

    def __init__(self, base: PreTrainedModel, builder: InputBuilder, audit: InputAudit) -> None:
        self.base, self.builder, self.audit = base, builder, audit
        self.encode = getattr(base.base_model, "get_image_features", None)
        if self.encode is None or "mm_encoder_outputs" not in signature(base.forward).parameters:
            raise InputError(f"{base.config.model_type} takes no features in place of pixels")
        self.arguments = signature(self.encode).parameters.keys()
        # of the features and of each deeper layer: whether they come in a list
        self.listed: list[bool] = []
        self.made: dict[str, Any] = {}  # what comes with features and is the same for all pictures
        self.output: type[ModelOutput] = ModelOutput
        self._prove()

    def see(self, inputs: Sequence[Shown]) -> None:
        """Give every picture of these inputs its features. Raises what the model raises."""
        for one in inputs:
            if any(image.features is None and image.fault is None for image in one.images):
                self._encode(one)

    def collate(self, inputs: Sequence[Shown]) -> dict[str, Any]:
        """The batch on the model's device, with features in the place of pixels."""
        pixels = self.audit.pixels
        batch: dict[str, Any] = for_model(self.builder.collate(inputs, without=pixels), self.base)
        if any(one.images for one in inputs):
            batch["mm_encoder_outputs"] = {"image": self._joined(inputs)}
        return batch

    @torch.inference_mode()
    def _encode(self, one: Shown) -> None:
        """All pictures of a prompt in one call: as they stand in it, and never more than it has."""
        whole = replace(one, images=[self._there(image) for image in one.images])
        batch = for_model(self.builder.collate([whole]), self.base)
        self.audit.arm([whole], batch, prompts=False)
        assert self.encode is not None
        fault: str | None = None
        features: list[Features | None] = [None] * len(one.images)
        try:
            arguments = {key: batch[key] for key in self.arguments if key in batch}
            output = self.encode(**arguments, return_dict=True)
            (fault,) = self.audit.result()
            features = [*self._split(output, one.visual_tokens)]
        except Exception:
            if not any(self.audit.faults):
                raise
            (fault,) = self.audit.faults
        for image, found in zip(one.images, features, strict=True):
            image.features, image.fault = found, fault
            for key in self.audit.pixels:
                image.tensors.pop(key, None)

    def _there(self, image: Picture) -> Picture:
        """A picture with the values of its pixels on the model's device, where they are made fastest."""
        moved = {key: tensor.to(self.base.device) for key, tensor in image.tensors.items()}
        values = self.builder.pictures.values
        return Picture({key: values(tensor) for key, tensor in moved.items()}, image.written)

    def _split(self, output: Any, visual_tokens: list[int]) -> list[Features]:
        """What belongs to which picture. Raises ValueError where that does not add up."""
        pooled = output.pooler_output
        layers = [pooled, *(getattr(output, "deepstack_features", None) or ())]
        self.output, self.listed = type(output), [not isinstance(layer, Tensor) for layer in layers]
        self.made = {k: v for k, v in output.items() if k not in SPLIT and not k.endswith(UNREAD)}
        parts = []
        for layer in layers:
            rows = [layer] if isinstance(layer, Tensor) else list(layer)
            whole = torch.cat([row.reshape(-1, row.shape[-1]) for row in rows])
            if len(whole) != sum(visual_tokens):
                raise ValueError(f"{len(whole)} features of {sum(visual_tokens)} visual tokens")
            parts.append(torch.split(whole, visual_tokens))
        return [Features(one[0], one[1:]) for one in zip(*parts, strict=True)]

    def _joined(self, inputs: Sequence[Shown]) -> ModelOutput:
        """A new one every time: `generate` changes what it is given."""
        there = [image.features for one in inputs for image in one.images if image.features]
        layers = zip(*((features.pooled, *features.deeper) for features in there), strict=True)
        pooled, *deeper = [
            tuple(layer) if listed else torch.cat(layer)
            for layer, listed in zip(layers, self.listed, strict=True)
        ]
        found = {"pooler_output": pooled, **({"deepstack_features": deeper} if deeper else {})}
        return self.output(**self.made, **found)

    def _prove(self) -> None:
        kind, probe = self.base.config.model_type, self.builder.probe()
        batch = for_model(self.builder.collate([probe]), self.base)
        with_pixels = reach_language(self.base, batch)
        try:
            self.see([probe])
            batch = self.collate([probe])
            self.audit.arm([probe], batch, pictures=False)
            with_features = reach_language(self.base, batch)
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"{kind} does not take features ({line[:200]})") from None
        faults = [*self.audit.result(), *(image.fault for image in probe.images)]
        if fault := next(filter(None, faults), None):
            raise InputError(f"{kind} does not read its features as they were made ({fault})")
        if not with_pixels or not _alike(with_pixels, with_features):
            raise InputError(f"{kind} reads features otherwise than pixels")


def _alike(a: Any, b: Any) -> bool:
    """Whether a language model is called with the same, as far as it is tensors."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and same(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    return True
