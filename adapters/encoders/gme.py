"""GME (Alibaba-NLP/gme-Qwen2-VL-2B-Instruct and -7B, arXiv 2412.16855): Qwen2-VL as an encoder."""

from __future__ import annotations

from typing import Any

from f2rcli.adapters.encoders.last_token import LastToken
from f2rcli.adapters.encoders.pretrained import load_image_processor

CHAT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
)
PIXELS = {"shortest_edge": 256 * 28 * 28, "longest_edge": 1280 * 28 * 28}  # the release's limits


class GME(LastToken):
    """The prompts are the release's; an instruction for queries stands in place of the system text."""

    TEXT = CHAT.format("{text}")
    IMAGE = CHAT.format("{image}")
    PLACEHOLDER = "<|vision_start|><|image_pad|><|vision_end|>"

    @property
    def model_class(self) -> Any:
        from transformers import Qwen2VLForConditionalGeneration

        return Qwen2VLForConditionalGeneration

    def make_processor(self, tokenizer: Any) -> Any:
        from transformers import Qwen2VLProcessor
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        class WithoutVideo(Qwen2VLProcessor):  # which would need torchvision
            @classmethod
            def get_attributes(cls) -> list[str]:
                return ["image_processor", "tokenizer"]

        WithoutVideo.__name__ = Qwen2VLProcessor.__name__
        images = load_image_processor(self.folder, Qwen2VLImageProcessorPil)
        images.size = PIXELS
        return WithoutVideo(images, tokenizer)  # type: ignore[no-untyped-call]
