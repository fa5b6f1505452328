"""Features in the place of pixels, only for a model that is proved to read the same."""

from collections.abc import Callable, Sequence
from inspect import Signature
from pathlib import Path
from typing import Any

import pytest
import torch
from counting import Counts
from short_chats import picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine import vision as module
from f2rcli.adapters.vlm.engine.vision import Vision
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
JOINED, COLLATE = Vision._joined, Vision.collate


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """Two queries each of a chat with three pictures, and of one without."""
    a, b, c = (picture(tmp_path / f"{n}.png", n) for n in range(3))
    return [
        request(*said, query=query, id=f"{len(said)} {query}")
        for query in ("猫", "生日")
        for said in ((("看猫", [a]), ("面馆", [b, c])), ("你好", "没有图片", "再见"))
    ]


def texts(vlm: VLM, requests: Sequence[Request]) -> dict[str, str | None]:
    got = list(vlm.retrieve(requests))
    assert [one.failure for one in got if one.failed] == []
    return {one.request: one.text for one in got}


def no_features(callable_: Any) -> Signature:
    return Signature()


def exchanged(self: Vision, inputs: Any) -> Any:
    output = JOINED(self, inputs)
    output["pooler_output"] = output["pooler_output"][::-1]
    return output


def scaled(self: Vision, inputs: Any) -> Any:
    output = JOINED(self, inputs)
    output["pooler_output"] = tuple(one * 2 for one in output["pooler_output"])
    return output


def refused(self: Vision, inputs: Any) -> Any:
    raise TypeError("no\n  features")


def elsewhere(self: Vision, inputs: Any) -> dict[str, Any]:
    """Everything is there, but the language model is told other positions."""
    batch = COLLATE(self, inputs)
    places = torch.arange(batch["input_ids"].shape[1])
    return {**batch, "position_ids": places.expand(3, len(batch["input_ids"]), -1)}


@pytest.mark.parametrize(
    ("where", "name", "planted", "reason"),
    [
        (module, "signature", no_features, "qwen2_vl takes no features in place of pixels"),
        (Vision, "_joined", exchanged, "qwen2_vl does not read its features as they were made ("),
        (Vision, "_joined", scaled, "qwen2_vl does not read its features as they were made ("),
        (Vision, "_joined", refused, "qwen2_vl does not take features (TypeError: no features)"),
        (Vision, "collate", elsewhere, "qwen2_vl reads features otherwise than pixels"),
    ],
)
def test_a_model_that_does_not_read_the_same_gets_pixels_with_every_prompt(
    tiny_qwen2_vl: Path,
    load_vlm: LoadVLM,
    chats: list[Request],
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    planted: Any,
    reason: str,
) -> None:
    wanted = texts(load_vlm(tiny_qwen2_vl), chats)
    monkeypatch.setattr(where, name, planted)
    vlm = load_vlm(tiny_qwen2_vl, batch_size=4)
    said = vlm.environment()["engine"]["pictures"]
    assert said.startswith(f"encoded with every prompt: {reason}")
    counts = Counts.of(vlm.base, vlm.processor)
    assert texts(vlm, chats) == wanted
    assert (counts.pictures, counts.patches) == (3, 2 * 3 * 16)
