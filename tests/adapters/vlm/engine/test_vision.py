"""Pictures through the vision tower: once a dialogue, never of other weights, and only where proved."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from counting import Counts
from short_chats import picture, request
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.types import Prompt, Request, Retrieval

LoadVLM = Callable[..., VLM]
QUERIES = ("猫", "面馆", "生日")


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """Three queries each of chats with two pictures, three (of other sizes), none and one."""
    sizes = [(56, 56), (56, 56), (112, 40), (40, 80), (56, 56), (60, 130)]
    a, b, c, d, e, f = (picture(tmp_path / f"{n}.png", n, size) for n, size in enumerate(sizes))
    turns: dict[str, Sequence[Any]] = {
        "two": (("看猫", [a]), ("面馆", [b])),
        "three": ("车票", ("两张", [c, d]), "好的", ("", [e])),
        "none": ("你好", "没有图片", "再见"),
        "one": ("蛋糕", "六岁", "周六", "谁来烤", ("", [f])),
    }
    return [
        request(*said, query=query, id=f"{name} {query}", name=name)
        for query in QUERIES
        for name, said in turns.items()
    ]


def ask(vlm: VLM, requests: Sequence[Request]) -> dict[str, Retrieval]:
    return {got.request: got for got in vlm.retrieve(requests)}


def texts(vlm: VLM, requests: Sequence[Request]) -> dict[str, str | None]:
    got = ask(vlm, requests)
    assert [one.failure for one in got.values() if one.failed] == []
    return {name: one.text for name, one in got.items()}


def failed(got: dict[str, Retrieval]) -> set[str]:
    """The dialogues of which a query failed by the audit."""
    failures = {name: one.failure.message for name, one in got.items() if one.failed and one.failure}
    assert all(message.startswith("input audit:") for message in failures.values()), failures
    return set(failures)


def patches(vlm: VLM, chats: list[Request]) -> int:
    pictures = [image for one in chats[:4] for image in vlm.inputs.build(one).images]
    assert len(pictures) == 6
    return sum(int(image.tensors["image_grid_thw"].prod()) for image in pictures)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 5, 12])
def test_every_picture_is_seen_once_for_all_queries_of_its_dialogue(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request], batch_size: int
) -> None:
    """Batches of two, four and five begin in the middle of a dialogue."""
    wanted = texts(load_vlm(tiny_qwen2_vl, exact=True), chats)
    vlm = load_vlm(tiny_qwen2_vl, batch_size=batch_size)
    count = patches(vlm, chats)
    counts = Counts.of(vlm.base, vlm.processor)
    assert texts(vlm, chats) == wanted
    assert (counts.pictures, counts.patches) == (6, count)
    counts.clear()
    texts(vlm, chats)
    assert (counts.pictures, counts.patches) == (6, count)  # of the run before, nothing is left


def test_exactly_it_is_once_a_query(checkpoint: Path, load_vlm: LoadVLM, chats: list[Request]) -> None:
    exact, vlm = load_vlm(checkpoint, exact=True), load_vlm(checkpoint, batch_size=4)
    count = patches(vlm, chats)
    for one, times in ((exact, 3), (vlm, 1)):
        counts = Counts.of(one.base, one.processor)
        texts(one, chats)
        assert counts.patches == times * count


def test_one_fault_of_the_model_does_not_make_pictures_anew(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    """A batch that fails is halved, and what its halves share is not seen again."""
    vlm = load_vlm(tiny_qwen2_vl, batch_size=6)
    wanted, count = texts(vlm, chats), patches(vlm, chats)
    counts = Counts.of(vlm.base, vlm.processor)

    def on_call(model: Any, args: Any, given: dict[str, Any]) -> None:
        if len(given["input_ids"]) > 3:
            raise torch.OutOfMemoryError

    vlm.base.register_forward_pre_hook(on_call, with_kwargs=True)
    assert texts(vlm, chats) == wanted
    assert (counts.pictures, counts.patches) == (6, count)


def change(vlm: VLM) -> None:
    """Other weights in the vision tower, as a step of training makes them."""
    with torch.no_grad():
        for weight in vlm.base.model.visual.parameters():
            weight.mul_(-0.7).add_(0.1)


def test_weights_that_changed_see_everything_anew(
    checkpoint: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    vlm, exact = load_vlm(checkpoint, batch_size=4), load_vlm(checkpoint, exact=True)
    one = chats[1::4]  # a dialogue that is asked about last, and then first
    before = texts(vlm, one)
    change(vlm)
    change(exact)
    after = texts(vlm, one)
    assert after == texts(exact, one)
    assert after != before


@pytest.mark.parametrize("taken", [1, 9])
@pytest.mark.parametrize("chat", [0, 1, 3])
def test_a_training_sample_made_afterwards_has_its_pixels(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request], taken: int, chat: int
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, batch_size=4)
    before = vlm.inputs.collate([vlm.inputs.build(chats[chat])])
    vlm.inputs.forget()
    answers = vlm.retrieve([one for one in chats if one.dialogue.images])
    for _ in range(taken):
        next(answers)
    answers.close()  # type: ignore[attr-defined]
    sample = vlm.inputs.build(chats[chat])
    assert all(image.features is None for image in sample.images)
    after = vlm.inputs.collate([sample])
    assert before.keys() == after.keys()
    assert all(torch.equal(after[key], values) for key, values in before.items())


def test_prompts_of_one_dialogue_may_show_different_pictures(
    checkpoint: Path, load_vlm: LoadVLM, tmp_path: Path
) -> None:
    """Asked in an order in which some pictures have been seen, and others beside them have not."""
    files = [picture(tmp_path / f"{n}.png", n) for n in range(3)]
    whole = request(("看", files), id="0")
    shown = {"1": (0, 1), "2": (2, 1), "3": (0, 1, 2), "4": (1,), "5": (1, 0, 1)}
    others = [
        replace(whole, id=name, prompt=Prompt(None, "好" * (150 - 25 * int(name)), (order,)))
        for name, order in shown.items()
    ]
    requests = [whole, *others]
    wanted = texts(load_vlm(checkpoint, exact=True, max_new_tokens=6), requests)
    for size in (1, 4):
        assert texts(load_vlm(checkpoint, batch_size=size, max_new_tokens=6), requests) == wanted


def spoil(vlm: VLM, pictures: int) -> None:
    """A value of the first of so many pictures is another one at the vision tower."""

    def fault(tower: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        pixels, grid = args[0] if args else given.pop("hidden_states"), given["grid_thw"]
        if len(grid) == pictures:
            pixels = pixels.clone()
            pixels[0, 0] += 1
        return (pixels, *args[1:]), given

    vlm.base.model.visual.register_forward_pre_hook(fault, with_kwargs=True, prepend=True)


@pytest.mark.parametrize("batch_size", [1, 4, 12])
def test_a_fault_at_the_tower_fails_all_queries_of_the_dialogue_and_no_other(
    checkpoint: Path, load_vlm: LoadVLM, chats: list[Request], batch_size: int
) -> None:
    vlm = load_vlm(checkpoint, batch_size=batch_size)
    wanted = texts(vlm, chats)
    spoil(vlm, 2)
    got = ask(vlm, chats)
    assert failed(got) == {f"two {query}" for query in QUERIES}
    assert {n: one.text for n, one in got.items() if not one.failed}.items() <= wanted.items()
    assert len(got) == 12


def test_a_tower_that_fails_costs_its_dialogue_only(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, batch_size=5)
    wanted = texts(vlm, chats)

    def fault(tower: Any, args: Any, given: dict[str, Any]) -> None:
        if len(given["grid_thw"]) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    vlm.base.model.visual.register_forward_pre_hook(fault, with_kwargs=True)
    got = ask(vlm, chats)
    assert {name for name, one in got.items() if one.failed} == {f"three {q}" for q in QUERIES}
    assert {n: one.text for n, one in got.items() if not one.failed}.items() <= wanted.items()


def test_features_that_do_not_add_up_are_never_read(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, batch_size=4)

    def shorter(merger: Any, args: Any, features: Tensor) -> Tensor:
        return features[:-1]

    vlm.base.model.visual.merger.register_forward_hook(shorter)
    got = ask(vlm, chats)
    assert {name.split()[0] for name, one in got.items() if one.text is None} == {"one", "two", "three"}
