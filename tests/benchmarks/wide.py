"""f2rvlm-nano-sft made wide: the same function at many times the cost, so that a benchmark has true
answers, in the task's grammar, from a model in which computing dominates."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedModel, Qwen2VLForConditionalGeneration

TIMES = 3  # as wide: a language model of 576, a vision tower of 288
PICTURE = 448  # pixels a side: 256 visual tokens


def widen(base: PreTrainedModel, folder: Path, seed: int = 0) -> Qwen2VLForConditionalGeneration:
    """Every activation stands in it `TIMES` times, and every weight is split at random among what reads
    the copies, so that nothing changes but the cost (Net2WiderNet, arXiv 1511.05641).

    Norms give what they gave, as means over copies are means; heads are copied, and attend alike.
    `folder` holds the configuration of the base.
    """
    config: Any = AutoConfig.from_pretrained(folder)
    text, vision = config.text_config, config.vision_config
    text.hidden_size *= TIMES
    text.intermediate_size *= TIMES
    text.num_attention_heads *= TIMES
    text.num_key_value_heads *= TIMES
    vision.embed_dim *= TIMES
    vision.num_heads *= TIMES
    vision.hidden_size = text.hidden_size
    text.tie_word_embeddings = config.tie_word_embeddings = False
    model = Qwen2VLForConditionalGeneration(config).float().eval()
    random = torch.Generator().manual_seed(seed)

    def shares(readers: int) -> Tensor:
        """Readers × copies: what each reader takes of each copy adds up to 1."""
        drawn = torch.rand(readers, TIMES, generator=random) + 0.5
        return drawn / drawn.sum(1, keepdim=True)

    def wider(name: str, weight: Tensor) -> Tensor:
        if name.endswith("attn.qkv.bias"):
            return weight.view(3, -1).repeat(1, TIMES).flatten()
        if weight.ndim == 1:
            return weight.repeat(TIMES)
        if name.endswith("patch_embed.proj.weight"):  # reads pixels, of which there is one copy
            return weight.repeat(TIMES, 1, 1, 1, 1)
        if name.endswith("embed_tokens.weight"):
            return weight.repeat(1, TIMES)
        if name.endswith("attn.qkv.weight"):
            return torch.cat([torch.kron(shares(TIMES), part) for part in weight.chunk(3)])
        if name.endswith("merger.mlp.0.weight"):  # reads four places, each with its copies
            places = weight.view(len(weight), 4, -1)
            split = torch.einsum("rc,opi->ropci", shares(TIMES), places)
            return split.reshape(TIMES * len(weight), -1)
        return torch.kron(shares(1 if name == "lm_head.weight" else TIMES), weight)

    weights = {name: wider(name, weight.float()) for name, weight in base.state_dict().items()}
    model.load_state_dict(weights)
    model.generation_config = base.generation_config
    return model


def save_wide(base: PreTrainedModel, nano: Path, folder: Path) -> Path:
    """The checkpoint's folder; it brings pictures to 448 × 448 pixels."""
    shutil.copytree(nano, folder)
    widen(base, nano).save_pretrained(folder)
    file = folder / "preprocessor_config.json"
    pixels = {"size": {"shortest_edge": PICTURE**2, "longest_edge": PICTURE**2}}
    file.write_text(json.dumps(json.loads(file.read_text()) | pixels))
    return folder
