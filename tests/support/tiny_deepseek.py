"""Tiny random checkpoints of DeepSeek-VL's two architectures."""

from pathlib import Path

import transformers
from tiny_parts import IN_PLACE, PATCH, PIXELS, SIDE, TOWER, save, text_of, words
from transformers.models.deepseek_vl.image_processing_pil_deepseek_vl import DeepseekVLImageProcessorPil
from transformers.models.deepseek_vl_hybrid.image_processing_pil_deepseek_vl_hybrid import (
    DeepseekVLHybridImageProcessorPil,
)


def deepseek_vl(folder: Path, seed: int = 0) -> Path:
    """DeepSeek-VL 1.3B: 16 visual tokens a picture."""
    made = words(IN_PLACE.replace("PICTURE", "<image_placeholder>"), image_token="<image_placeholder>")
    config = transformers.DeepseekVLConfig(
        text_config=text_of(made, "llama"),
        vision_config={**TOWER, "model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_id=made.image_token_id,
        architectures=["DeepseekVLForConditionalGeneration"],
        tie_word_embeddings=False,
    )
    return save(
        folder, seed, made, DeepseekVLImageProcessorPil(size=PIXELS), config, num_image_tokens=16
    )


def deepseek_vl_hybrid(folder: Path, seed: int = 0) -> Path:
    """DeepSeek-VL 7B: two towers, the second for the picture in a higher resolution."""
    made = words(IN_PLACE.replace("PICTURE", "<image_placeholder>"), image_token="<image_placeholder>")
    high = {
        "model_type": "sam_vision_model",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "output_channels": 8,
        "image_size": 2 * SIDE,
        "patch_size": PATCH,
        "window_size": 4,
        "global_attn_indexes": [1],
        "mlp_dim": 64,
    }
    config = transformers.DeepseekVLHybridConfig(
        text_config=text_of(made, "llama"),
        vision_config={**TOWER, "model_type": "siglip_vision_model", "vision_use_head": False},
        high_res_vision_config=high,
        image_token_id=made.image_token_id,
        architectures=["DeepseekVLHybridForConditionalGeneration"],
        tie_word_embeddings=False,
    )
    pictures = DeepseekVLHybridImageProcessorPil(
        size=PIXELS, high_res_size={"height": 2 * SIDE, "width": 2 * SIDE}
    )
    return save(folder, seed, made, pictures, config, num_image_tokens=16)
