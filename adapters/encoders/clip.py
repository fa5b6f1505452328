"""CLIP-architecture checkpoints through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from f2rcli.adapters.encoders.encoder import Embedding, Encoder, Options
from f2rcli.adapters.encoders.pretrained import (
    device_of,
    lengths,
    load_image_processor,
    load_model,
    load_tokenizer,
    unit_rows,
    vectors_digest,
)
from f2rcli.tasks.images import open_image


class CLIP(Encoder):
    """Both towers of a CLIP in 32 bits. Nothing of it is loaded before the first text or picture.

    Pictures go through Pillow, as in CLIP's own code, also where torchvision is there: the two differ
    in the last bits. A text is cut at the checkpoint's limit (77 tokens for OpenAI's).
    """

    def __init__(self, name: str, folder: Path, options: Options) -> None:
        self.name = name
        self.folder = folder
        self.options = options
        query, text = options.query_prompt, options.text_prompt
        self.digest = vectors_digest(folder, query_prompt=query, text_prompt=text)
        self.symmetric = query == text

    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        return self._texts(texts, self.options.text_prompt)

    def queries(self, texts: Sequence[str]) -> list[Embedding]:
        return self._texts(texts, self.options.query_prompt)

    def _texts(self, texts: Sequence[str], prompt: str | None) -> list[Embedding]:
        # A control token that somebody typed would end the text where it stands.
        plain = [text.replace("<|", "< |") for text in texts]
        plain = [(prompt or "{text}").replace("{text}", text) for text in plain]
        limit = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(
            plain, truncation=True, max_length=limit, padding=True, return_tensors="pt"
        )
        vectors = self._features("get_text_features", **tokens)
        numbers = lengths(self._tokenizer, plain)
        return [Embedding(v, n > limit) for v, n in zip(vectors, numbers, strict=True)]

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        pictures = [open_image(file) for file in files]
        pixels = self._image_processor(images=pictures, return_tensors="pt")
        vectors = self._features("get_image_features", pixel_values=pixels["pixel_values"])
        return [Embedding(vector) for vector in vectors]

    def _features(self, method: str, **inputs: Any) -> Any:
        """Rows of length 1."""
        import torch

        given = {name: value.to(self._model.device) for name, value in inputs.items()}
        with torch.inference_mode():
            return unit_rows(getattr(self._model, method)(**given).pooler_output, self.folder)

    @cached_property
    def _model(self) -> Any:
        from transformers import CLIPModel

        return load_model(self.folder, CLIPModel, device_of(self.options.device))

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.folder)

    @cached_property
    def _image_processor(self) -> Any:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        return load_image_processor(self.folder, CLIPImageProcessorPil)
