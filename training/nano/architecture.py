"""Untrained f2rvlm-nano (Qwen2-VL) and clip-nano (CLIP), with tokenizers of the mini world's text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    CLIPConfig,
    CLIPModel,
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from f2rcli.tasks.mini.pictures import SIDE
from f2rcli.tasks.tags import TAGS

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
VOCABULARY = 3584
CLIP_TOKENS = 77  # as in OpenAI's
LONGEST_TOKEN = 16  # bytes: five Chinese characters, so that no token swallows a whole sentence
VISUAL_TOKENS = 4  # of a picture of the mini world: 16 patches of 14 × 14 pixels, merged by four
# A number is one token, so that an id is copied in one step, and so is what separates two of them;
# so is a speaker (` user1:`).
PIECES = r", |\p{Han}+| ?(?:(?!\p{Han})\p{L})+(?:\p{N}:)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+"
# Attention from the usual 0.02 is too flat, in a model this narrow, to find anything.
INITIAL_RANGE = 0.06
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_untrained(folder: Path, texts: Iterable[str], seed: int) -> None:
    """Writes an ordinary checkpoint folder with random weights (32-bit) and a tokenizer of `texts`."""
    tokenizer = _tokenizer(texts)
    ids: dict[str, Any] = {
        token: tokenizer.convert_tokens_to_ids(token) for token in (PAD, END, *VISION)
    }
    torch.manual_seed(seed)
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 192,
            "intermediate_size": 512,
            "num_hidden_layers": 6,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "max_position_embeddings": 8192,
            "rope_parameters": {
                "rope_type": "default",
                "mrope_section": [4, 6, 6],
                "rope_theta": 10000.0,
            },
            "tie_word_embeddings": True,
            "initializer_range": INITIAL_RANGE,
            "bos_token_id": None,
            "eos_token_id": ids[END],
            "pad_token_id": ids[PAD],
        },
        vision_config={
            "depth": 3,
            "embed_dim": 96,
            "hidden_size": 192,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False, eos_token_id=[ids[END], ids[PAD]], pad_token_id=ids[PAD]
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(
        size={"shortest_edge": SIDE * SIDE, "longest_edge": SIDE * SIDE}
    ).save_pretrained(folder)


def _tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    made = _bpe(texts, [PAD, START, END, *VISION])
    # Not "special": decoding with skip_special_tokens must not strip what an answer consists of.
    made.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _bpe(texts: Iterable[str], special: list[str], normalizer: Any = None) -> Tokenizer:
    """Pairs of bytes that these texts have often; it can write any text."""
    made = Tokenizer(models.BPE())
    if normalizer:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return made


def save_untrained_clip(folder: Path, texts: Iterable[str], seed: int) -> None:
    """Writes an ordinary CLIP folder with random weights (32-bit) and a tokenizer of `texts`."""
    # START first: transformers reads a CLIP whose end token is number 2 by an older rule.
    made = _bpe(
        texts, [START, END, PAD], normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    )
    ids = {token: made.token_to_id(token) for token in (START, END, PAD)}
    made.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    tower = {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_attention_heads": 4,
        "projection_dim": 128,
    }
    config = CLIPConfig(
        text_config={
            **tower,
            "vocab_size": made.get_vocab_size(),
            "num_hidden_layers": 3,
            "max_position_embeddings": CLIP_TOKENS,
            "bos_token_id": ids[START],
            "eos_token_id": ids[END],
            "pad_token_id": ids[PAD],
        },
        vision_config={**tower, "num_hidden_layers": 4, "image_size": SIDE, "patch_size": 8},
        projection_dim=tower["projection_dim"],
    )
    torch.manual_seed(seed)
    CLIPModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CLIP_TOKENS,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    side = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=side).save_pretrained(folder)
