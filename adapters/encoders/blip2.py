"""BLIP-2 checkpoints for image-text retrieval, through transformers."""

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
    plain,
    unit_rows,
    vectors_digest,
)
from f2rcli.tasks.images import open_image


class BLIP2(Encoder):
    """The contrastive head of `Blip2ForImageTextRetrieval` in 32 bits.

    A picture is as many vectors as the Q-Former has query tokens (32); its similarity to a text is the
    largest of their cosines with the text's one vector, as in the model's own forward computation. The
    matching head, which reads a text and a picture together, would be asked for every pair and is not
    used.
    """

    many = True

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
        import torch

        written = [plain(self._tokenizer, text) for text in texts]
        written = [(prompt or "{text}").replace("{text}", text) for text in written]
        model = self._model
        limit = model.config.qformer_config.max_position_embeddings
        tokens = self._tokenizer(
            written, truncation=True, max_length=limit, padding=True, return_tensors="pt"
        ).to(model.device)
        with torch.inference_mode():
            read = model.qformer(
                query_embeds=model.embeddings(input_ids=tokens["input_ids"]),
                query_length=0,
                attention_mask=tokens["attention_mask"],
            )
            vectors = unit_rows(model.text_projection(read.last_hidden_state[:, 0]), self.folder)
        numbers = lengths(self._tokenizer, written)
        return [Embedding(v, n > limit) for v, n in zip(vectors, numbers, strict=True)]

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        import torch

        model = self._model
        pictures = [open_image(file) for file in files]
        pixels = self._image_processor(images=pictures, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            seen = model.vision_model(pixel_values=pixels.to(model.device)).last_hidden_state
            read = model.qformer(
                query_embeds=model.query_tokens.expand(len(pictures), -1, -1),
                encoder_hidden_states=seen,
                encoder_attention_mask=torch.ones(seen.shape[:-1], dtype=torch.long, device=seen.device),
            )
            vectors = unit_rows(model.vision_projection(read.last_hidden_state), self.folder)
        return [Embedding(each) for each in vectors]

    @cached_property
    def _model(self) -> Any:
        from transformers import Blip2ForImageTextRetrieval

        return load_model(self.folder, Blip2ForImageTextRetrieval, device_of(self.options.device))

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.folder)

    @cached_property
    def _image_processor(self) -> Any:
        from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

        return load_image_processor(self.folder, BlipImageProcessorPil)
