"""Tiny random checkpoints of the true architectures, as ordinary checkpoint folders."""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer, pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, GenerationConfig, Qwen2Tokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

CONTROL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LETTERS = "找出与查询有关的发言和图片 find the utterances and images of the dialogue user1 user2 0123"


def tokenizer() -> Qwen2Tokenizer:
    trainer = ByteLevelBPETokenizer()
    tags = [
        f"<|{name}_id{s}_{side}|>"
        for name in ("utt", "img")
        for s in ("", "s")
        for side in ("start", "end")
    ]
    trainer.train_from_iterator([LETTERS, *tags] * 4, vocab_size=420, show_progress=False)
    vocab = trainer.get_vocab()
    merges = [tuple(pair) for pair in _merges(trainer)]
    made = Qwen2Tokenizer(vocab=vocab, merges=merges, pad_token="<|endoftext|>")
    made.add_special_tokens({"additional_special_tokens": CONTROL})
    made.eos_token = "<|im_end|>"
    made.chat_template = TEMPLATE
    return made


def _merges(trainer: ByteLevelBPETokenizer) -> list[list[str]]:
    return json.loads(trainer.to_str())["model"]["merges"]


def qwen2_vl(folder: Path, seed: int = 0) -> Path:
    """Some 100,000 random weights in the shape of Qwen2-VL."""
    return _save(
        folder,
        seed,
        transformers.Qwen2VLConfig,
        transformers.Qwen2VLForConditionalGeneration,
        text={"rope_parameters": ROPE},
        vision={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
    )


def qwen2_vl_2b(folder: Path, seed: int = 0) -> Path:
    """What is particular to the small releases (Qwen2-VL-2B, Qwen2.5-VL-3B): the output's weights are
    the embedding's, and in no file; config.json has no table of the text model."""
    qwen2_vl(folder, seed)
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    text |= {"rope_scaling": {**rope, "type": "mrope"}, "rope_theta": rope["rope_theta"]}
    flat = {**text, **config, "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(flat))
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def qwen2_5_vl(folder: Path, seed: int = 0) -> Path:
    return _save(
        folder,
        seed,
        transformers.Qwen2_5_VLConfig,
        transformers.Qwen2_5_VLForConditionalGeneration,
        text={"rope_parameters": ROPE},
        vision={
            "depth": 2,
            "hidden_size": 32,
            "out_hidden_size": 32,
            "num_heads": 2,
            "intermediate_size": 64,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
    )


def qwen3_vl(folder: Path, seed: int = 0) -> Path:
    return _save(
        folder,
        seed,
        transformers.Qwen3VLConfig,
        transformers.Qwen3VLForConditionalGeneration,
        text={
            "head_dim": 16,
            "rope_parameters": ROPE,
        },
        vision={
            "depth": 2,
            "hidden_size": 32,
            "out_hidden_size": 32,
            "num_heads": 2,
            "intermediate_size": 64,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        patch_size=16,
    )


def _save(folder, seed, config_class, model_class, *, text, vision, patch_size=14) -> Path:
    torch.manual_seed(seed)
    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(name) for name in CONTROL}
    config = config_class(
        text_config=dict(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=16384,
            tie_word_embeddings=False,
            **text,
        ),
        vision_config=dict(patch_size=patch_size, spatial_merge_size=2, temporal_patch_size=2, **vision),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    model = model_class(config)
    with torch.no_grad():  # at the usual initialisation every answer is one token repeated
        for weight in model.parameters():
            if weight.ndim >= 2:
                weight.mul_(4)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.01,
        top_k=1,
        top_p=0.001,
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]],
        pad_token_id=ids["<|endoftext|>"],
    )
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    Qwen2VLImageProcessorPil(
        size={"shortest_edge": 56 * 56, "longest_edge": 56 * 56}, patch_size=patch_size
    ).save_pretrained(folder)
    return folder


def clip(folder: Path, seed: int = 0) -> Path:
    """A random CLIP of 77 tokens and 28 × 28 pixels whose tokens are single bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    words = CLIPTokenizer(vocab={name: i for i, name in enumerate(names)}, merges=[])
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 8,
    }
    ids = {
        "bos_token_id": len(names) - 2,
        "eos_token_id": len(names) - 1,
        "pad_token_id": len(names) - 1,
    }
    torch.manual_seed(seed)
    model = CLIPModel(
        CLIPConfig(
            text_config={**tower, **ids, "vocab_size": len(names)},
            vision_config={**tower, "image_size": 28, "patch_size": 14},
            projection_dim=8,
        )
    )
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    side = {"height": 28, "width": 28}
    CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=side).save_pretrained(folder)
    return folder
