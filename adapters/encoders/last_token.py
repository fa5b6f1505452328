"""Vision-language models as encoders: what they make of a prompt's last token."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from f2rcli.adapters.checkpoints import unusable
from f2rcli.adapters.encoders.encoder import Embedding, Encoder, Options
from f2rcli.adapters.encoders.pretrained import (
    device_of,
    dtype_of,
    load_model,
    load_tokenizer,
    plain,
    unit_rows,
    vectors_digest,
)
from f2rcli.tasks.images import open_image

LIMIT = 1800  # tokens of a text; GME's own limit of a whole prompt


class LastToken(Encoder):
    """The last layer's hidden state (after its norm) at the last token of a prompt, of length 1.

    A prompt holds `{text}` or `{image}`; `PLACEHOLDER` is what the processor wants to read where a
    picture stands. Pictures go through Pillow. Prompts of a batch are padded on the right, where a
    causal model sees nothing of it.
    """

    TEXT: str
    IMAGE: str
    PLACEHOLDER: str
    at_once = 4
    takes = ("query_prompt", "text_prompt", "image_prompt")

    def __init__(self, name: str, folder: Path, options: Options) -> None:
        self.name = name
        self.folder = folder
        self.text_prompt = options.text_prompt or self.TEXT
        self.query_prompt = options.query_prompt or self.TEXT
        self.image_prompt = options.image_prompt or self.IMAGE
        self.device = device_of(options.device)
        self.dtype = dtype_of(options.dtype, self.device)
        self.symmetric = self.query_prompt == self.text_prompt
        self.digest = vectors_digest(
            folder,
            dtype=self.dtype,
            query_prompt=self.query_prompt,
            text_prompt=self.text_prompt,
            image_prompt=self.image_prompt,
        )

    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        return self._texts(texts, self.text_prompt)

    def queries(self, texts: Sequence[str]) -> list[Embedding]:
        return self._texts(texts, self.query_prompt)

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        pictures = [open_image(file) for file in files]
        prompt = self.image_prompt.replace("{image}", self.PLACEHOLDER)
        return [Embedding(vector) for vector in self._vectors([prompt] * len(pictures), pictures)]

    def _texts(self, texts: Sequence[str], prompt: str) -> list[Embedding]:
        fitting = [self._fitting(plain(self._tokenizer, text)) for text in texts]
        vectors = self._vectors([prompt.replace("{text}", text) for text, _ in fitting], None)
        return [Embedding(v, cut) for v, (_, cut) in zip(vectors, fitting, strict=True)]

    def _fitting(self, text: str) -> tuple[str, bool]:
        """A text's beginning of at most `LIMIT` tokens, and whether that is not all of it."""
        tokens = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ends = tokens["offset_mapping"]
        return (text[: ends[LIMIT - 1][1]], True) if len(ends) > LIMIT else (text, False)

    def _vectors(self, prompts: list[str], pictures: list[Any] | None) -> Any:
        import torch

        try:
            inputs = self._processor(
                text=prompts, images=pictures, padding=True, padding_side="right", return_tensors="pt"
            ).to(self.device)
            if "pixel_values" in inputs:
                inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
            with torch.inference_mode():
                states = self._model.model(**inputs, use_cache=False).last_hidden_state
        except (ValueError, RuntimeError) as error:  # such as a picture of absurd shape, or no memory
            raise unusable("cannot embed", error, self.folder) from None
        last = inputs["attention_mask"].sum(-1) - 1
        return unit_rows(states[torch.arange(len(prompts), device=states.device), last], self.folder)

    @property
    @abstractmethod
    def model_class(self) -> Any:
        """The class of transformers that the weights are of."""

    @abstractmethod
    def make_processor(self, tokenizer: Any) -> Any:
        """What makes a model's inputs of prompts and pictures."""

    @cached_property
    def _model(self) -> Any:
        return load_model(self.folder, self.model_class, self.device, self.dtype)

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = load_tokenizer(self.folder)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    @cached_property
    def _processor(self) -> Any:
        return self.make_processor(self._tokenizer)
