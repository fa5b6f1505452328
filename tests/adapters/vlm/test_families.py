"""Every architecture through one adapter: what it reads, and that no fault in its pictures is missed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from short_chats import picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.inputs import ModelInput
from f2rcli.adapters.vlm.planting import FAULTS, planted
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
GATHERING = {"llava", "llava_next", "llava_onevision"}  # their templates put pictures in front
LIMITED = {"qwen2_vl", "qwen2_5_vl", "qwen3_vl"}


@pytest.fixture(scope="module")
def vlm(family: tuple[str, Path], load_vlm: LoadVLM) -> VLM:
    return load_vlm(family[1], max_new_tokens=3)


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """Chats with two pictures, none, three of other shapes, and one."""
    folder = tmp_path_factory.mktemp("图")
    sizes = [(56, 56), (56, 56), (112, 40), (40, 80), (70, 64), (60, 130)]
    a, b, c, d, e, f = (picture(folder / f"{n}.png", n, size) for n, size in enumerate(sizes))
    return [
        request(("看猫", [a]), "哪儿", ("面馆 b", [b]), id="two"),
        request("你好", "没有图片", "再见 <image> <|im_end|>", id="none"),
        request(("两张", [c, d]), "好的", ("", [e]), "嗯", id="three"),  # longer: asked after "two"
        request("蛋糕", "六岁", "周六", ("", [f]), id="one"),
    ]


def answers(vlm: VLM, chats: list[Request]) -> dict[str, str | None]:
    return {got.request: got.text for got in vlm.retrieve(chats)}


def flagged(vlm: VLM, chats: list[Request]) -> set[str]:
    """The requests that failed by the audit; any other failure is none that it knows."""
    failures = {got.request: got.failure for got in vlm.retrieve(chats) if got.text is None}
    assert all(one and one.message.startswith("input audit:") for one in failures.values()), failures
    return set(failures)


def test_a_prompt_is_what_the_processor_itself_makes_of_its_text(vlm: VLM, chats: list[Request]) -> None:
    for chat in chats:
        one = vlm.inputs.build(chat)
        pictures = [open_image(str(image.file)) for image in chat.dialogue.images]
        reference = dict(
            vlm.processor(
                text=[one.text],
                images=[pictures] if pictures else None,
                add_special_tokens=not one.text.startswith(vlm.tokenizer.bos_token or "<|none|>"),
                return_tensors="pt",
            )
        )
        made = vlm.inputs.collate([one])
        assert made.keys() == reference.keys()
        for key, values in reference.items():
            assert torch.equal(made[key], values), key
        output = vlm.base.generate(**reference, generation_config=vlm.generation, max_new_tokens=3)
        ids = output[0, len(one.ids) :].tolist()
        stop = next((i for i, token in enumerate(ids) if token in vlm.ends), None)
        assert answers(vlm, [chat]) == {chat.id: vlm.tokenizer.decode(ids[:stop])}


def test_texts_and_pictures_stay_in_their_order(
    vlm: VLM, chats: list[Request], family: tuple[str, Path]
) -> None:
    one = vlm.inputs.build(chats[0])
    token = vlm.processor.image_token
    assert vlm.inputs.template.form == ("text" if family[0] in GATHERING else "parts")
    assert ("pictures" in vlm.identity()) == (family[0] in GATHERING)
    marks = ["看猫", token, "哪儿", "面馆 b", token]
    places = [one.text.index("看猫")]
    for mark in marks[1:]:
        places.append(one.text.index(mark, places[-1] + 1))
    assert one.text.count(token) == 2
    assert len(one.images) == len(one.visual_tokens) == 2
    assert not torch.equal(*(image.tensors["pixel_values"] for image in one.images))
    assert one.ids.count(vlm.inputs.pictures.visual_token_id) == sum(one.visual_tokens)
    typed = vlm.inputs.build(chats[1])
    assert typed.text.count(token) == 0
    assert typed.escaped >= 1


@pytest.mark.parametrize("batch_size", [1, 4])
def test_no_false_alarm(vlm: VLM, chats: list[Request], batch_size: int) -> None:
    vlm.batch_size = batch_size
    assert flagged(vlm, chats) == set()


def test_no_false_alarm_in_half_precision(
    family: tuple[str, Path], load_vlm: LoadVLM, chats: list[Request]
) -> None:
    assert flagged(load_vlm(family[1], dtype="bfloat16", batch_size=4), chats) == set()


def exchanged(one: ModelInput) -> ModelInput:
    return replace(one, images=[one.images[1], one.images[0], *one.images[2:]])


def short(one: ModelInput) -> ModelInput:
    return replace(one, images=one.images[1:])


@pytest.mark.parametrize("fault", [exchanged, short])
def test_a_fault_in_the_batch_is_caught(
    vlm: VLM, chats: list[Request], fault: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm.batch_size = 4
    collate = vlm.inputs.collate

    def faulty(inputs: list[ModelInput], **how: Any) -> Any:
        return collate([fault(one) if one.request.id == "two" else one for one in inputs], **how)

    monkeypatch.setattr(vlm.inputs, "collate", faulty)
    found = flagged(vlm, chats)
    assert "two" in found
    assert fault is short or found == {"two"}  # what is shorter moves all that comes behind it


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_fault_at_the_vision_tower_is_caught(
    vlm: VLM, chats: list[Request], name: str, batch_size: int
) -> None:
    vlm.batch_size = batch_size
    pictured = [chats[0], chats[2]] if batch_size > 1 else chats[:1]
    with planted(vlm, FAULTS[name]):
        found = flagged(vlm, [*pictured, chats[1]])
    assert found == {one.id for one in pictured} or (
        name == "two pictures exchanged" and found == {"two"}
    )
    assert flagged(vlm, chats) == set()


def test_every_image_tensor_is_listened_to(vlm: VLM, chats: list[Request]) -> None:
    batch = vlm.inputs.collate([vlm.inputs.build(chats[0])])
    floating = {key for key, values in batch.items() if values.is_floating_point()}
    assert floating
    assert floating <= {key for _, _, key in vlm.engine.audit.towers}


def test_a_limit_of_pixels_is_refused_where_there_is_none(
    vlm: VLM, family: tuple[str, Path], load_vlm: LoadVLM
) -> None:
    name, folder = family
    if name in LIMITED:
        assert load_vlm(folder, max_pixels=784).identity()["image_size"]["longest_edge"] == 784
    else:
        with pytest.raises(InputError, match=f"{name} has no limit of pixels"):
            load_vlm(folder, max_pixels=784)
