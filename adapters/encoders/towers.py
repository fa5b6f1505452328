"""What the encoders with a tower for texts and one for pictures have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2rcli.adapters.encoders.encoder import Embedding, Encoder, Options
from f2rcli.adapters.encoders.pretrained import (
    device_of,
    lengths,
    load_model,
    load_tokenizer,
    plain,
    unit_rows,
    vectors_digest,
)
from f2rcli.tasks.images import open_image

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]


class Towers(Encoder):
    """In 32 bits; nothing of it is loaded before the first text or picture.

    A text is cut at the checkpoint's limit. Pictures go through Pillow, also where torchvision is
    there: the two differ in the last bits.
    """

    #: of a batch of texts, as the tokenizer takes it
    padding: bool | str = True

    def __init__(self, name: str, folder: Path, options: Options) -> None:
        self.name = name
        self.folder = folder
        self.options = options
        query, text = options.query_prompt, options.text_prompt
        self.digest = vectors_digest(folder, query_prompt=query, text_prompt=text)
        self.symmetric = query == text

    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        return self._embedded(texts, self.options.text_prompt or "{text}")

    def queries(self, texts: Sequence[str]) -> list[Embedding]:
        return self._embedded(texts, self.options.query_prompt or "{text}")

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        import torch

        pictures, device = [open_image(file) for file in files], self._model.device
        made = self._image_processor(images=pictures, return_tensors="pt").to(device)
        with torch.inference_mode():
            seen = self.see(made)
        return [Embedding(vector) for vector in unit_rows(seen, self.folder)]

    def _embedded(self, texts: Sequence[str], prompt: str) -> list[Embedding]:
        import torch

        written = [prompt.replace("{text}", self.plain(text)) for text in texts]
        limit = self.text_config.max_position_embeddings
        tokens = self._tokenizer(
            written, truncation=True, max_length=limit, padding=self.padding, return_tensors="pt"
        ).to(self._model.device)
        with torch.inference_mode():
            vectors = unit_rows(self.read(tokens), self.folder)
        numbers = lengths(self._tokenizer, written)
        return [Embedding(v, n > limit) for v, n in zip(vectors, numbers, strict=True)]

    def plain(self, text: str) -> str:
        """A text in which nothing typed is a control token."""
        return plain(self._tokenizer, text)

    @property
    def text_config(self) -> Any:
        return self._model.config.text_config

    @abstractmethod
    def read(self, tokens: Tensors) -> torch.Tensor:
        """Texts × dimensions."""

    def see(self, pictures: Tensors) -> torch.Tensor:
        """Pictures × dimensions, or pictures × vectors × dimensions."""
        found: torch.Tensor = self._model.get_image_features(**pictures).pooler_output
        return found

    @property
    @abstractmethod
    def model_class(self) -> Any:
        """The class of transformers that the weights are of."""

    @abstractmethod
    def make_image_processor(self) -> Any:
        """What makes tensors of pictures, by Pillow."""

    @cached_property
    def _model(self) -> Any:
        return load_model(self.folder, self.model_class, device_of(self.options.device))

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.folder)

    @cached_property
    def _image_processor(self) -> Any:
        return self.make_image_processor()
