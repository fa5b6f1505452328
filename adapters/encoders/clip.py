"""CLIP-architecture checkpoints through transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f2rcli.adapters.encoders.pretrained import load_image_processor
from f2rcli.adapters.encoders.towers import Towers

if TYPE_CHECKING:
    import torch

    from f2rcli.adapters.encoders.towers import Tensors


class CLIP(Towers):
    """A text may have 77 tokens in OpenAI's. Their own code reads pictures through Pillow, too."""

    def plain(self, text: str) -> str:
        return text.replace("<|", "< |")

    def read(self, tokens: Tensors) -> torch.Tensor:
        found: torch.Tensor = self._model.get_text_features(**tokens).pooler_output
        return found

    @property
    def model_class(self) -> Any:
        from transformers import CLIPModel

        return CLIPModel

    def make_image_processor(self) -> Any:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        return load_image_processor(self.folder, CLIPImageProcessorPil)
