"""Tiny models with an adapter that does something, and prompts with and without pictures."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from counting import Counts
from peft import LoraConfig, get_peft_model
from short_chats import picture, request

from f2rcli.adapters.vlm.inputs import InputBuilder, ModelInput
from f2rcli.adapters.vlm.loading import Loaded, load, vision_parts
from f2rcli.tasks.types import Request
from f2rcli.training.grpo.prompt import Prompt, encode

KINDS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass
class Setting:
    """A model in float32 with an adapter on its language model."""

    loaded: Loaded
    builder: InputBuilder

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def adapter(self) -> dict[str, torch.nn.Parameter]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @property
    def placeholder(self) -> int:
        token: int = self.loaded.base.config.image_token_id
        return token

    def build(self, request: Request) -> ModelInput:
        return self.builder.build(request)

    def encode(self, request: Request) -> Prompt:
        return encode(self.loaded, self.build(request), self.builder)

    def count(self) -> Counts:
        return Counts.of(self.loaded.base, self.loaded.processor)


Open = Callable[..., Setting]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint an architecture, and `windowed`: a Qwen2-VL with a sliding window of 8."""
    root = tmp_path_factory.mktemp("grpo")
    made = {kind: getattr(tiny, kind)(root / kind) for kind in KINDS}
    made["windowed"] = tiny.qwen2_vl(root / "windowed")
    config = json.loads((root / "windowed/config.json").read_text())
    window = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}
    config["text_config"] |= {**window, "layer_types": ["full_attention", "sliding_attention"]}
    (root / "windowed/config.json").write_text(json.dumps(config))
    return made


@pytest.fixture(scope="session")
def open_model(folders: dict[str, Path]) -> Open:
    def open_model(kind: str = "qwen2_vl", attention: str = "sdpa", dropout: float = 0.0) -> Setting:
        loaded = load(folders[kind], None, "float32", "cpu", max_pixels=602_112)
        loaded.base.set_attn_implementation(attention)
        config = LoraConfig(
            r=3,
            lora_alpha=6,
            lora_dropout=dropout,
            target_modules=LAYERS,
            exclude_modules=r".*visual.*",
            task_type="CAUSAL_LM",
        )
        for part in vision_parts(loaded.base):
            part.requires_grad_(False)
        loaded.model = get_peft_model(loaded.base, config)
        torch.manual_seed(11)
        for name, weight in loaded.model.named_parameters():
            if "lora_B" in name:  # zeros at first, which would leave A without gradients
                torch.nn.init.normal_(weight, std=0.1)
        return Setting(loaded, InputBuilder(loaded.processor))

    return open_model


@pytest.fixture
def setting(open_model: Open) -> Setting:
    return open_model()


@pytest.fixture
def pictured(tmp_path: Path) -> Request:
    """Three pictures in two turns, the last one there before."""
    files = [picture(tmp_path / f"图 {i}.png", seed=i) for i in range(2)]
    return request("帐篷", ("看", files), ("再看", files[:1]), "好", query="帐篷")


@pytest.fixture
def spoken() -> Request:
    return request("昨天的猫", "哪只", query="猫")
