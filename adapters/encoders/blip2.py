"""BLIP-2 checkpoints for image-text retrieval, through transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f2rcli.adapters.encoders.pretrained import load_image_processor
from f2rcli.adapters.encoders.towers import Towers

if TYPE_CHECKING:
    import torch

    from f2rcli.adapters.encoders.towers import Tensors


class BLIP2(Towers):
    """The contrastive head of `Blip2ForImageTextRetrieval`.

    A picture is as many vectors as the Q-Former has query tokens (32); its similarity to a text is the
    largest of their cosines with the text's one vector, as in the model's own forward computation. The
    matching head, which reads a text and a picture together, would be asked for every pair and is not
    used.
    """

    many = True

    @property
    def text_config(self) -> Any:
        return self._model.config.qformer_config

    def read(self, tokens: Tensors) -> torch.Tensor:
        model = self._model
        read = model.qformer(
            query_embeds=model.embeddings(input_ids=tokens["input_ids"]),
            query_length=0,
            attention_mask=tokens["attention_mask"],
        )
        found: torch.Tensor = model.text_projection(read.last_hidden_state[:, 0])
        return found

    def see(self, pictures: Tensors) -> torch.Tensor:
        import torch

        model, pixels = self._model, pictures["pixel_values"]
        seen = model.vision_model(pixel_values=pixels).last_hidden_state
        read = model.qformer(
            query_embeds=model.query_tokens.expand(len(pixels), -1, -1),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:-1], dtype=torch.long, device=seen.device),
        )
        found: torch.Tensor = model.vision_projection(read.last_hidden_state)
        return found

    @property
    def model_class(self) -> Any:
        from transformers import Blip2ForImageTextRetrieval

        return Blip2ForImageTextRetrieval

    def make_image_processor(self) -> Any:
        from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

        return load_image_processor(self.folder, BlipImageProcessorPil)
