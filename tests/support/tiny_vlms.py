"""Tiny random checkpoints of the architectures beside Qwen's, their chat templates as released."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
import transformers
from tiny_deepseek import deepseek_vl, deepseek_vl_hybrid
from tiny_parts import (
    GEMMA,
    GRID,
    IN_PLACE,
    LLAVA,
    ONEVISION,
    PATCH,
    PIXELS,
    SIDE,
    SMOLVLM,
    TOWER,
    save,
    text_of,
    words,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

CLIP_TOWER = {**TOWER, "model_type": "clip_vision_model", "projection_dim": 16}
SIGLIP_TOWER = {**TOWER, "model_type": "siglip_vision_model", "vision_use_head": False}
CLIP_PROCESSOR = {
    "patch_size": PATCH,
    "num_additional_image_tokens": 1,
    "vision_feature_select_strategy": "default",
}


def internvl(folder: Path, seed: int = 0) -> Path:
    """InternVL3: up to 12 tiles and a small whole a picture, 4 visual tokens each."""
    made = words(
        IN_PLACE.replace("PICTURE", "<IMG_CONTEXT>\n"),
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = transformers.InternVLConfig(
        text_config=text_of(made),
        vision_config={**TOWER, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        image_token_id=made.context_image_token_id,
        image_seq_length=4,
        architectures=["InternVLForConditionalGeneration"],
        tie_word_embeddings=False,
    )
    pictures = GotOcr2ImageProcessorPil(size=PIXELS, max_patches=4)
    return save(folder, seed, made, pictures, config, image_seq_length=4)


def llava(folder: Path, seed: int = 0) -> Path:
    """LLaVA-1.5: 16 visual tokens a picture, gathered in front by its chat template."""
    made = words(LLAVA, "<image>", end="</s>", begin="<s>")
    config = transformers.LlavaConfig(
        text_config=text_of(made, "llama"),
        vision_config=CLIP_TOWER,
        image_token_index=made.convert_tokens_to_ids("<image>"),
        architectures=["LlavaForConditionalGeneration"],
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=PIXELS)
    return save(folder, seed, made, pictures, config, **CLIP_PROCESSOR)


def llava_next(folder: Path, seed: int = 0) -> Path:
    """LLaVA-NeXT (1.6): a small whole and as many tiles as its shape asks for."""
    made = words(LLAVA, "<image>", end="</s>", begin="<s>")
    config = transformers.LlavaNextConfig(
        text_config=text_of(made, "llama"),
        vision_config=CLIP_TOWER,
        image_token_index=made.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=GRID,
        architectures=["LlavaNextForConditionalGeneration"],
    )
    pictures = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size=PIXELS, image_grid_pinpoints=GRID
    )
    return save(folder, seed, made, pictures, config, **CLIP_PROCESSOR)


def llava_onevision(folder: Path, seed: int = 0) -> Path:
    """LLaVA-OneVision: tiles for a picture by itself, none for one of several."""
    made = words(ONEVISION, "<image>", "<video>")
    config = transformers.LlavaOnevisionConfig(
        text_config=text_of(made),
        vision_config=SIGLIP_TOWER,
        image_token_index=made.convert_tokens_to_ids("<image>"),
        video_token_index=made.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=GRID,
        architectures=["LlavaOnevisionForConditionalGeneration"],
    )
    pictures = LlavaOnevisionImageProcessorPil(size=PIXELS, image_grid_pinpoints=GRID)
    return save(
        folder,
        seed,
        made,
        pictures,
        config,
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
    )


def ovis2(folder: Path, seed: int = 0) -> Path:
    """Ovis2: visual words of 4 tokens a tile, and tokens that say where rows of tiles end."""
    written = ["<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]
    made = words(IN_PLACE.replace("PICTURE", "<image>\n"), *written, "<image>")
    ids = made.convert_tokens_to_ids(written)
    config = transformers.Ovis2Config(
        text_config=text_of(made),
        vision_config={**TOWER, "vocab_size": 40, "hidden_stride": 2, "num_visual_indicator_tokens": 5},
        image_token_id=ids[0],
        visual_indicator_token_ids=ids[1:],
        hidden_size=32,
        vocab_size=len(made),
        architectures=["Ovis2ForConditionalGeneration"],
        tie_word_embeddings=False,
    )
    pictures = Ovis2ImageProcessorPil(size=PIXELS, crop_to_patches=True, max_patches=4)
    return save(folder, seed, made, pictures, config, image_seq_length=4)


def idefics3(folder: Path, seed: int = 0, name: str = "Idefics3", pictures: Any = None) -> Path:
    """Idefics 3: rows of tiles and a small whole, 4 visual tokens each, with tokens that say which."""
    places = [f"<row_{row + 1}_col_{column + 1}>" for row in range(6) for column in range(6)]
    made = words(
        SMOLVLM,
        *places,
        "<fake_token_around_image>",
        "<image>",
        "<global-img>",
        end="<end_of_utterance>",
    )
    config = getattr(transformers, f"{name}Config")(
        text_config=text_of(made, "llama", pad_token_id=made.pad_token_id),
        vision_config=TOWER,
        image_token_id=made.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        architectures=[f"{name}ForConditionalGeneration"],
        pad_token_id=made.pad_token_id,
    )
    sizes = {"size": {"longest_edge": 2 * SIDE}, "max_image_size": {"longest_edge": SIDE}}
    pictures = (pictures or Idefics3ImageProcessorPil)(**sizes)
    return save(folder, seed, made, pictures, config, image_seq_len=4)


def smolvlm(folder: Path, seed: int = 0) -> Path:
    """SmolVLM, whose processor would also take videos."""
    return idefics3(folder, seed, "SmolVLM", SmolVLMImageProcessorPil)


def gemma3(folder: Path, seed: int = 0) -> Path:
    """Gemma 3: 4 visual tokens a picture that see each other, and a sliding window."""
    made = words(
        GEMMA,
        "<start_of_turn>",
        "\n\n",
        end="<end_of_turn>",
        begin="<bos>",
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    config = transformers.Gemma3Config(
        text_config=text_of(made, "gemma3_text", head_dim=16, sliding_window=64),
        vision_config=SIGLIP_TOWER,
        mm_tokens_per_image=4,
        boi_token_index=made.boi_token_id,
        eoi_token_index=made.eoi_token_id,
        image_token_index=made.image_token_id,
        architectures=["Gemma3ForConditionalGeneration"],
        tie_word_embeddings=False,
    )
    return save(folder, seed, made, Gemma3ImageProcessorPil(size=PIXELS), config, image_seq_length=4)


MAKERS: dict[str, Callable[[Path], Path]] = {  # model_type → its maker
    "qwen2_vl": tiny.qwen2_vl,
    "qwen2_5_vl": tiny.qwen2_5_vl,
    "qwen3_vl": tiny.qwen3_vl,
    **{
        maker.__name__: maker
        for maker in (
            internvl,
            llava,
            llava_next,
            llava_onevision,
            ovis2,
            deepseek_vl,
            deepseek_vl_hybrid,
            idefics3,
            smolvlm,
            gemma3,
        )
    },
}
