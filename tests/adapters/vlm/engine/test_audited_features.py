"""Features that were made once are as much proved as pixels, wherever they stand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from audited import ask, flagged
from short_chats import picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """Chats of two pictures, none, and three (two in one line)."""
    a, b, c, d, e = (picture(tmp_path / f"{n}.png", n) for n in range(5))
    return [
        request(("看猫", [a]), ("面馆", [b]), id="two"),
        request("你好", "没有图片", "再见", id="none"),
        request("车票", ("两张", [c, d]), "好的", ("", [e]), id="three"),
    ]


def test_features_that_stand_at_another_picture(
    checkpoint: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    vlm = load_vlm(checkpoint)
    assert vlm.engine.vision
    assert flagged(ask(vlm, chats)) == set()

    def exchange(model: Any, args: Any, kwargs: dict[str, Any]) -> None:
        output = (kwargs.get("mm_encoder_outputs") or {}).get("image")
        if output is not None and len(output.pooler_output) == 3:
            first, *others = output.pooler_output
            output["pooler_output"] = (*others, first)

    vlm.base.register_forward_pre_hook(exchange, with_kwargs=True, prepend=True)
    assert flagged(ask(vlm, chats)) == {"three"}


def test_deeper_features_that_are_not_the_pictures(
    tmp_path: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    vlm = load_vlm(tiny.qwen3_vl(tmp_path / "qwen3_vl"))

    def blank(model: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if kwargs.get("deepstack_visual_embeds"):
            kwargs["deepstack_visual_embeds"][0][-1] = 0

    language: Any = vlm.base.get_decoder()
    language.register_forward_pre_hook(blank, with_kwargs=True, prepend=True)
    assert flagged(ask(vlm, chats)) == {"two", "three"}
