"""Text models of sentence-transformers. They see no pictures."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from f2rcli.adapters.checkpoints import hush, unusable
from f2rcli.adapters.encoders.encoder import Embedding, Encoder, Options
from f2rcli.adapters.encoders.pretrained import device_of, lengths, unit_rows, vectors_digest
from f2rcli.tasks.errors import InputError


class Sentences(Encoder):
    """A folder of sentence-transformers (modules.json) in 32 bits.

    Without prompts of the row its own for queries and documents are used, where it has any. Code that
    a folder brings along is not run.
    """

    sees_pictures = False
    symmetric = False

    def __init__(self, name: str, folder: Path, options: Options) -> None:
        self.name = name
        self.folder = folder
        self.options = options
        self.digest = vectors_digest(
            folder, deep=True, query_prompt=options.query_prompt, text_prompt=options.text_prompt
        )

    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        return self._encode(self._model.encode_document, texts, self.options.text_prompt)

    def queries(self, texts: Sequence[str]) -> list[Embedding]:
        return self._encode(self._model.encode_query, texts, self.options.query_prompt)

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        raise InputError("reads texts only, no pictures", where=self.name)

    def _encode(self, encode: Any, texts: Sequence[str], prompt: str | None) -> list[Embedding]:
        own = {} if prompt is None else {"prompt": ""}
        written = [(prompt or "{text}").replace("{text}", text) for text in texts]
        found = encode(
            written, batch_size=len(written), show_progress_bar=False, convert_to_tensor=True, **own
        )
        limit = self._model.max_seq_length or float("inf")
        numbers = lengths(self._model.tokenizer, written)
        vectors = unit_rows(found, self.folder)
        return [Embedding(v, n > limit) for v, n in zip(vectors, numbers, strict=True)]

    @cached_property
    def _model(self) -> Any:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise InputError(
                "is a folder of sentence-transformers, which is not installed",
                where=str(self.folder),
                fix="pip install 'f2rcli[embed]'",
            )
        import torch
        from sentence_transformers import SentenceTransformer

        hush()
        try:
            return SentenceTransformer(
                str(self.folder),
                device=device_of(self.options.device),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": torch.float32},
            ).eval()
        except Exception as error:  # a faulty file makes its reader raise anything
            raise unusable("cannot be loaded", error, self.folder) from None
