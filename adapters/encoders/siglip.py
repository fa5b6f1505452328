"""SigLIP and SigLIP 2 checkpoints through transformers."""

from __future__ import annotations

import importlib
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
    plain,
    unit_rows,
    vectors_digest,
)
from f2rcli.tasks.images import open_image


class SigLIP(Encoder):
    """Both towers of a SigLIP in 32 bits, pictures through Pillow.

    Its texts were trained padded to full length (64 tokens) without a mask, so that the padding is
    read: here, too. A longer text is cut. `siglip2` is the kind that takes pictures of any shape
    (NaFlex); the SigLIP 2 checkpoints of a fixed size are of the architecture `siglip`.
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
        written = [plain(self._tokenizer, text) for text in texts]
        written = [(prompt or "{text}").replace("{text}", text) for text in written]
        limit = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(
            written, truncation=True, max_length=limit, padding="max_length", return_tensors="pt"
        )
        vectors = self._features("get_text_features", input_ids=tokens["input_ids"])
        numbers = lengths(self._tokenizer, written)
        return [Embedding(v, n > limit) for v, n in zip(vectors, numbers, strict=True)]

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        pictures = [open_image(file) for file in files]
        pixels = self._image_processor(images=pictures, return_tensors="pt")
        return [Embedding(vector) for vector in self._features("get_image_features", **pixels)]

    def _features(self, method: str, **inputs: Any) -> Any:
        """Rows of length 1."""
        import torch

        given = {name: value.to(self._model.device) for name, value in inputs.items()}
        with torch.inference_mode():
            return unit_rows(getattr(self._model, method)(**given).pooler_output, self.folder)

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModel

        return load_model(self.folder, AutoModel, device_of(self.options.device))

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.folder)

    @cached_property
    def _image_processor(self) -> Any:
        kind = self._model.config.model_type
        module = importlib.import_module(f"transformers.models.{kind}.image_processing_pil_{kind}")
        return load_image_processor(self.folder, getattr(module, f"{kind.title()}ImageProcessorPil"))
