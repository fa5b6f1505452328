"""Tiny random checkpoints of encoders' true architectures, as ordinary checkpoint folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from f2rcli.adapters.encoders.encoder import Encoder, Options, open_encoder

TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TEXT = {**TOWER, "max_position_embeddings": 24, "projection_size": 16}  # SigLIP's
VISION = {**TOWER, "image_size": 28, "patch_size": 14}
BERT = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def letters(*special: str, begin: str = "", end: str = "", **names: str) -> PreTrainedTokenizerFast:
    """A tokenizer of single bytes; `begin` and `end` stand around every text."""
    vocab = {name: i for i, name in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    made = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    around = [(token, vocab[token]) for token in (begin, end) if token]
    single = " ".join(filter(None, [begin, "$A", end]))
    made.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=single, special_tokens=around),
        ]
    )
    words = PreTrainedTokenizerFast(tokenizer_object=made, **names)
    words.add_special_tokens({"additional_special_tokens": list(special)})
    return words


def _saved(folder: Path, model: torch.nn.Module, words: object, images: object) -> Path:
    with torch.no_grad():  # at the usual initialisation all texts are nearly alike
        for weight in model.parameters():
            if weight.ndim >= 2:
                weight.mul_(4)
    for part in (model, words, images):
        part.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


def siglip(folder: Path, seed: int = 0) -> Path:
    """SigLIP of 24 tokens and 28 × 28 pixels."""
    words = letters("<pad>", "</s>", end="</s>", pad_token="<pad>", eos_token="</s>")
    torch.manual_seed(seed)
    config = transformers.SiglipConfig(
        text_config={**TEXT, "vocab_size": len(words)},
        vision_config={**VISION},
    )
    images = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    return _saved(folder, transformers.SiglipModel(config), words, images)


def siglip2(folder: Path, seed: int = 0) -> Path:
    """SigLIP 2 of pictures of any shape, at most 9 patches."""
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{i:02X}>" for i in range(256))]
    words = transformers.Siglip2Tokenizer(vocab={name: i for i, name in enumerate(names)}, merges=[])
    torch.manual_seed(seed)
    config = transformers.Siglip2Config(
        text_config={**TEXT, "vocab_size": len(words)},
        vision_config={**TOWER, "num_patches": 9, "patch_size": 14},
    )
    images = Siglip2ImageProcessorPil(patch_size=14, max_num_patches=9)
    return _saved(folder, transformers.Siglip2Model(config), words, images)


def blip2(folder: Path, seed: int = 0) -> Path:
    """BLIP-2 with 5 query tokens."""
    words = letters(*BERT.values(), begin="[CLS]", end="[SEP]", **BERT)
    torch.manual_seed(seed)
    config = transformers.Blip2Config(
        vision_config={**VISION, "initializer_range": 0.05},
        qformer_config={
            **TOWER,
            "vocab_size": len(words),
            "encoder_hidden_size": 16,
            "max_position_embeddings": 40,
            "use_qformer_text_input": True,
            "cross_attention_frequency": 1,
        },
        text_config={
            **TOWER,
            "model_type": "opt",
            "vocab_size": 8,
            "ffn_dim": 32,
            "word_embed_proj_dim": 16,
        },
        num_query_tokens=5,
        image_text_hidden_size=12,
    )
    model = transformers.Blip2ForImageTextRetrieval(config)
    torch.nn.init.normal_(model.query_tokens)
    images = BlipImageProcessorPil(size={"height": 28, "width": 28})
    return _saved(folder, model, words, images)


def e5v(folder: Path, seed: int = 0) -> Path:
    """LLaVA-NeXT over Llama's architecture, with the control tokens of Llama 3."""
    special = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>")
    words = letters(
        *special, begin="<|begin_of_text|>", bos_token="<|begin_of_text|>", eos_token="<|eot_id|>"
    )
    torch.manual_seed(seed)
    grid = [[28, 56], [56, 28], [56, 56]]
    config = transformers.LlavaNextConfig(
        vision_config={**VISION, "model_type": "clip_vision_model"},
        text_config={
            **TOWER,
            "model_type": "llama",
            "vocab_size": len(words),
            "num_key_value_heads": 1,
            "max_position_embeddings": 4096,
        },
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grid,
        image_seq_length=4,
    )
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=grid
    )
    return _saved(folder, transformers.LlavaNextForConditionalGeneration(config), words, images)


def sentences(folder: Path, seed: int = 0) -> Path:
    """A folder of sentence-transformers: BERT, mean of the tokens, prompts for queries and documents."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    words = letters(*BERT.values(), begin="[CLS]", end="[SEP]", **BERT)
    torch.manual_seed(seed)
    config = transformers.BertConfig(**TOWER, vocab_size=len(words), max_position_embeddings=40)
    base = folder.with_name(f"{folder.name} base")
    _saved(base, transformers.BertModel(config), words, words)
    read = Transformer(str(base), max_seq_length=30)
    prompts = {"query": "q: ", "document": "d: "}
    SentenceTransformer(modules=[read, Pooling(16)], prompts=prompts, device="cpu").save(str(folder))
    return folder


MADE: dict[str, Callable[[Path], Path]] = {
    "clip": tiny.clip,
    "siglip": siglip,
    "siglip2": siglip2,
    "blip2": blip2,
    "e5v": e5v,
    "gme": tiny.qwen2_vl,
    "sentences": sentences,
}


def opened(folder: Path, **options: Any) -> Encoder:
    return open_encoder(str(folder), "它", Options("cpu", **options))


def unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()
