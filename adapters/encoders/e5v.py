"""E5-V (royokong/e5-v, arXiv 2407.12580): LLaVA-NeXT that says a text or a picture in one word."""

from __future__ import annotations

from typing import Any

from f2rcli.adapters.encoders.last_token import LastToken
from f2rcli.adapters.encoders.pretrained import load_image_processor

CHAT = (
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n \n"
)


class E5V(LastToken):
    """The prompts are the release's, for Llama 3."""

    TEXT = CHAT.format("{text}\nSummary above sentence in one word: ")
    IMAGE = CHAT.format("{image}\nSummary above image in one word: ")
    PLACEHOLDER = "<image>"

    @property
    def model_class(self) -> Any:
        from transformers import LlavaNextForConditionalGeneration

        return LlavaNextForConditionalGeneration

    def make_processor(self, tokenizer: Any) -> Any:
        """By config.json: the release's processor files lack what transformers 5 wants to know."""
        from transformers import LlavaNextProcessor
        from transformers.models.llava_next.image_processing_pil_llava_next import (
            LlavaNextImageProcessorPil,
        )

        config = self._model.config
        return LlavaNextProcessor(  # type: ignore[no-untyped-call]
            load_image_processor(self.folder, LlavaNextImageProcessorPil),
            tokenizer,
            patch_size=config.vision_config.patch_size,
            vision_feature_select_strategy=config.vision_feature_select_strategy,
            # CLIP's vision tower has a token for the whole picture, which "default" drops
            num_additional_image_tokens=int(config.vision_config.model_type == "clip_vision_model"),
        )
