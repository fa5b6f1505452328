"""What of a probe reaches a model, and that the input audit holds for it, too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from short_chats import fragment, picture, request
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.probes import Probe
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
TAG = "<|img_id_start|>{}<|img_id_end|>"


@pytest.fixture(scope="module")
def vlm(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> VLM:
    return load_vlm(tiny_qwen2_vl)


@pytest.fixture
def chat(tmp_path: Path) -> Request:
    """Two turns, each with a picture of another shape."""
    files = [picture(tmp_path / f"{n}.png", n, size) for n, size in enumerate([(56, 56), (112, 28)])]
    return request(("看猫", files[:1]), ("面馆", files[1:]), gold=fragment([0], [0]))


def probed(asked: Request, name: str) -> Request:
    probe = Probe(name)
    return probe.seen(probe.apply(asked))


def received(vlm: VLM, asked: Request) -> list[Tensor]:
    """What reaches the vision tower: the patches of every call; the answer passes the audit."""
    calls: list[Tensor] = []

    def hear(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((args[0] if args else kwargs["hidden_states"]).clone())

    hook = vlm.base.model.visual.register_forward_pre_hook(hear, with_kwargs=True)
    [answered] = vlm.retrieve([asked.without_gold()])
    hook.remove()
    assert answered.text is not None, answered.failure
    assert answered.details["images"] == (2 if calls else 0)
    return calls


def test_the_tower_sees_grey_pictures_of_the_same_shape(vlm: VLM, chat: Request) -> None:
    [plain] = received(vlm, chat)
    [grey] = received(vlm, probed(chat, "blank-images"))
    assert grey.shape == plain.shape
    channels = grey.unflatten(1, (3, -1))  # patches × channels × values
    assert torch.equal(channels, channels[:1, :, :1].expand_as(channels))
    assert not torch.equal(plain.unflatten(1, (3, -1)), channels)
    built = [vlm.inputs.build(one) for one in (chat, probed(chat, "blank-images"))]
    assert built[0].ids == built[1].ids


def test_text_alone_has_the_tags_and_nothing_for_the_tower(vlm: VLM, chat: Request) -> None:
    asked = probed(chat, "text-only")
    assert received(vlm, asked) == []
    one = vlm.inputs.build(asked)
    assert [TAG.format(k) in one.text for k in (0, 1, 2)] == [True, True, False]
    assert vlm.processor.image_token not in one.text
    assert not {"pixel_values", "image_grid_thw"} & set(vlm.inputs.collate([one]))


def test_shuffled_ids_name_the_same_pictures_in_the_same_places(vlm: VLM, chat: Request) -> None:
    asked = probed(chat, "shuffle-image-ids")
    [plain], [shuffled] = received(vlm, chat), received(vlm, asked)
    assert torch.equal(plain, shuffled)
    before, after = (vlm.inputs.build(one).text for one in (chat, asked))
    exchanged = before.replace(TAG.format(0), "A").replace(TAG.format(1), TAG.format(0))
    assert after == exchanged.replace("A", TAG.format(1)) != before


def test_pictures_travel_with_their_turns(vlm: VLM, chat: Request) -> None:
    [plain], [shuffled] = received(vlm, chat), received(vlm, probed(chat, "shuffle-turns"))
    first = len(vlm.inputs.build(chat).images[0].tensors["pixel_values"])
    assert torch.equal(shuffled, torch.cat([plain[first:], plain[:first]]))
