"""SigLIP and SigLIP 2 checkpoints through transformers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from f2rcli.adapters.encoders.pretrained import load_image_processor
from f2rcli.adapters.encoders.towers import Towers

if TYPE_CHECKING:
    import torch

    from f2rcli.adapters.encoders.towers import Tensors


class SigLIP(Towers):
    """Its texts were trained padded to full length (64 tokens) without a mask, so that the padding is
    read: here, too. `siglip2` is the kind that takes pictures of any shape (NaFlex); the SigLIP 2
    checkpoints of a fixed size are of the architecture `siglip`.
    """

    padding = "max_length"

    def read(self, tokens: Tensors) -> torch.Tensor:
        found: torch.Tensor = self._model.get_text_features(input_ids=tokens["input_ids"]).pooler_output
        return found

    @property
    def model_class(self) -> Any:
        from transformers import AutoModel

        return AutoModel

    def make_image_processor(self) -> Any:
        kind = self._model.config.model_type
        module = importlib.import_module(f"transformers.models.{kind}.image_processing_pil_{kind}")
        return load_image_processor(self.folder, getattr(module, f"{kind.title()}ImageProcessorPil"))
