"""A prompt is seen once, and what is kept of it is what the model would make of it."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from counting import Counts
from short_chats import picture, request

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.grpo.prompt import Plain, Shared

Open = Callable[..., Any]


def test_pictures_go_through_the_vision_tower_once(setting: Any, pictured: Request) -> None:
    counts = setting.count()
    prompt = setting.encode(pictured)
    one = setting.build(pictured)
    patches = sum(len(image.tensors["pixel_values"]) for image in one.images)
    assert counts == Counts(pictures=2, patches=patches)
    assert prompt.visual[0].shape == (sum(one.visual_tokens), 32)
    assert not prompt.visual[0].requires_grad


def test_nothing_else_of_the_pictures_is_kept(setting: Any, pictured: Request) -> None:
    """A dozen full-size pictures are half a gigabyte of pixels, their features a tenth of it."""
    prompt = setting.encode(pictured)
    kept = [getattr(prompt, field.name) for field in fields(Shared)]
    tensors = [each for each in kept if isinstance(each, torch.Tensor)] + list(prompt.visual)
    assert sum(each.untyped_storage().nbytes() for each in tensors) == (
        8 * prompt.length * (1 + 3) + 4 * 32 * (sum(setting.build(pictured).visual_tokens) + 1)
    )


def test_qwen3_keeps_what_it_adds_behind_its_first_layers(open_model: Open, pictured: Request) -> None:
    setting = open_model("qwen3_vl")
    tokens = sum(setting.build(pictured).visual_tokens)
    assert [each.shape for each in setting.encode(pictured).visual] == [(tokens, 32)] * 2


def test_positions_of_pictures_are_three_dimensional(setting: Any, tmp_path: Path) -> None:
    """A picture of 2 × 2 visual tokens takes two positions (Qwen2-VL, arXiv 2409.12191, section 2.1)."""
    asked = request(("看", (picture(tmp_path / "图.png"),)), "好")
    one, prompt = setting.build(asked), setting.encode(asked)
    assert one.visual_tokens == [4]
    at, after = one.ids.index(setting.placeholder), len(one.ids) - 2
    assert prompt.positions[:, 0, at : at + 5].tolist() == [
        [at, at, at, at, at + 2],
        [at, at, at + 1, at + 1, at + 2],
        [at, at + 1, at, at + 1, at + 2],
    ]
    assert prompt.positions_after(1, 2).tolist() == [[[after + 1, after + 2]]] * 3


def test_text_alone_has_no_features(setting: Any, spoken: Request) -> None:
    counts = setting.count()
    prompt = setting.encode(spoken)
    assert counts.patches == 0
    assert prompt.seen() == {}
    assert prompt.positions[:, 0].tolist() == [list(range(prompt.length))] * 3


def test_a_sliding_window_takes_the_plain_path(open_model: Open, spoken: Request) -> None:
    prompt = open_model("windowed").encode(spoken)
    assert isinstance(prompt, Plain)
    assert prompt.row["input_ids"].tolist() == [open_model().build(spoken).ids]


def test_an_unknown_architecture_takes_the_plain_path(setting: Any, spoken: Request) -> None:
    setting.loaded.base.config.model_type = "another"
    assert isinstance(setting.encode(spoken), Plain)


def test_flash_attention_is_refused(setting: Any, spoken: Request) -> None:
    setting.loaded.base.config.get_text_config()._attn_implementation = "flash_attention_2"
    with pytest.raises(InputError, match="flash_attention_2 takes no mask") as caught:
        setting.encode(spoken)
    assert "sdpa or eager" in str(caught.value.fix)


def test_a_trained_vision_tower_is_refused(setting: Any, spoken: Request) -> None:
    setting.loaded.base.model.visual.requires_grad_(True)
    with pytest.raises(InputError, match="sees each picture once"):
        setting.encode(spoken)
