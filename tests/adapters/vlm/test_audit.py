"""The input audit: every planted fault is a named error, and nothing else ever is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from audited import ask, flagged
from short_chats import picture, request
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
Batch = dict[str, Tensor]
Plant = Callable[[Callable[[Batch], None]], None]


@pytest.fixture(params=[False, True], ids=["engine", "exact"])
def vlm(checkpoint: Path, load_vlm: LoadVLM, request: pytest.FixtureRequest) -> VLM:
    """Pictures encoded once a dialogue, or with every prompt."""
    return load_vlm(checkpoint, batch_size=1, exact=request.param)


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """Chats of two pictures, none, three (two in one line) and one; by length: three, one, two, none."""
    a, b, c, d, e, f = (picture(tmp_path / f"{n}.png", n) for n in range(6))
    return [
        request(("看猫", [a]), ("面馆", [b]), id="two"),
        request("你好", "没有图片", "再见", id="none"),
        request("车票", ("两张", [c, d]), "好的", ("", [e]), id="three"),
        request("蛋糕", "六岁", "周六", "谁来烤", ("", [f]), id="one"),
    ]


@pytest.fixture
def plant(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Lets whatever is collated from now on go on with a fault in it."""
    original = vlm.inputs.collate

    def plant(fault: Callable[[Batch], None]) -> None:
        def collate(inputs: Any, **how: Any) -> Batch:
            batch = original(inputs, **how)
            fault(batch)
            return batch

        monkeypatch.setattr(vlm.inputs, "collate", collate)

    return plant


def swap(pixels: Tensor, grid: Tensor, first: int, second: int) -> Tensor:
    """The patches with those of two pictures exchanged."""
    parts = list(pixels.split(grid.prod(-1).tolist()))
    parts[first], parts[second] = parts[second], parts[first]
    return torch.cat(parts)


def cut(batch: Batch, row: int, begin: int, end: int) -> None:
    """Takes a prompt's tokens from `begin` to `end` out of a row, which is padded at the left again."""
    start = int(batch["input_ids"].shape[1] - batch["attention_mask"][row].sum())
    for key in ("input_ids", "attention_mask", "mm_token_type_ids"):
        old, gone = batch[key][row].clone(), end - begin
        batch[key][row] = torch.cat([old[:1].repeat(gone), old[: start + begin], old[start + end :]])
        if key != "input_ids":
            batch[key][row, : start + gone] = 0


def test_two_pictures_swapped_in_the_batch(vlm: VLM, chats: list[Request], plant: Plant) -> None:
    def fault(batch: Batch) -> None:
        batch["pixel_values"] = swap(batch["pixel_values"], batch["image_grid_thw"], 0, 1)

    plant(fault)
    assert flagged(ask(vlm, [chats[0]])) == {"two"}


@pytest.mark.parametrize(("pair", "guilty"), [((1, 2), {"three"}), ((0, 5), {"three", "two"})])
def test_only_whose_pictures_were_swapped_fails(
    vlm: VLM, chats: list[Request], pair: tuple[int, int], guilty: set[str]
) -> None:
    vlm.batch_size = 4
    assert flagged(ask(vlm, chats)) == set()

    def fault(tower: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        pixels, grid = args[0] if args else kwargs.pop("hidden_states"), kwargs["grid_thw"]
        pixels = swap(pixels, grid, *pair) if len(grid) > pair[1] else pixels
        return (pixels, *args[1:]), kwargs

    # Before the audit's own hook: what it hears is what the tower gets.
    vlm.base.model.visual.register_forward_pre_hook(fault, with_kwargs=True, prepend=True)
    whole = vlm.exact  # else the tower sees a dialogue at a time
    assert flagged(ask(vlm, chats)) == (guilty if whole or pair == (1, 2) else set())


def test_a_single_changed_value_of_a_picture(vlm: VLM, chats: list[Request], plant: Plant) -> None:
    def fault(batch: Batch) -> None:
        if "pixel_values" in batch:
            batch["pixel_values"][-1, -1] += 0.01

    vlm.batch_size = 4
    plant(fault)
    together = {"two"}  # whose picture comes last
    assert flagged(ask(vlm, chats)) == (together if vlm.exact else {"three", "one", "two"})


def test_a_picture_dropped_with_its_placeholders(vlm: VLM, chats: list[Request], plant: Plant) -> None:
    tokens = vlm.inputs.build(chats[0]).visual_tokens[0]

    def fault(batch: Batch) -> None:
        image = vlm.processor.image_token_id
        (found,) = torch.nonzero(batch["input_ids"][0] == image, as_tuple=True)
        cut(batch, 0, int(found[0]), int(found[0]) + tokens)
        batch["pixel_values"] = batch["pixel_values"][int(batch["image_grid_thw"][0].prod()) :]
        batch["image_grid_thw"] = batch["image_grid_thw"][1:]

    plant(fault)
    assert flagged(ask(vlm, [chats[0]])) == {"two"}


def test_all_pictures_dropped(vlm: VLM, chats: list[Request], plant: Plant) -> None:
    def fault(batch: Batch) -> None:
        batch.pop("pixel_values", None)
        batch.pop("image_grid_thw", None)

    plant(fault)
    assert flagged(ask(vlm, chats)) == {"two", "three", "one"}  # asked one by one


def test_a_picture_dropped_without_its_placeholders(
    vlm: VLM, chats: list[Request], plant: Plant
) -> None:
    def fault(batch: Batch) -> None:
        if "pixel_values" in batch:  # they may be seen already
            batch["pixel_values"] = batch["pixel_values"][int(batch["image_grid_thw"][0].prod()) :]
            batch["image_grid_thw"] = batch["image_grid_thw"][1:]

    plant(fault)
    assert flagged(ask(vlm, chats)) == {"two", "three", "one"}


def shorten_a_run(vlm: VLM) -> Callable[[Batch], None]:
    def fault(batch: Batch) -> None:
        image = vlm.processor.image_token_id
        (found,) = torch.nonzero(batch["input_ids"][0] == image, as_tuple=True)
        if len(found):
            start = int(batch["input_ids"].shape[1] - batch["attention_mask"][0].sum())
            cut(batch, 0, int(found[0]) - start, int(found[0]) - start + 1)

    return fault


def test_a_shortened_run_of_placeholders_is_never_scored(
    vlm: VLM, chats: list[Request], plant: Plant
) -> None:
    plant(shorten_a_run(vlm))
    answers = ask(vlm, chats)
    assert {name for name, got in answers.items() if got.text is None} == {"two", "three", "one"}
    failures = [got.failure for got in answers.values() if got.text is None]
    assert all(failure and failure.kind == "error" for failure in failures)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(("begin", "end"), [(0, 5), (20, 26), (-5, None)])
def test_a_truncated_prompt(
    vlm: VLM,
    chats: list[Request],
    plant: Plant,
    batch_size: int,
    begin: int,
    end: int | None,
) -> None:
    length = len(vlm.inputs.build(chats[1]).ids)

    def fault(batch: Batch) -> None:
        for row, mask in enumerate(batch["attention_mask"]):
            if int(mask.sum()) == length:
                cut(batch, row, begin % length, length if end is None else end)

    vlm.batch_size = batch_size
    plant(fault)
    assert len({len(vlm.inputs.build(chat).ids) for chat in chats}) == 4  # only one is that long
    assert flagged(ask(vlm, chats)) == {"none"}


def test_another_word_of_the_same_length(vlm: VLM, chats: list[Request], plant: Plant) -> None:
    def fault(batch: Batch) -> None:
        batch["input_ids"][0, -8] = vlm.tokenizer.convert_tokens_to_ids("0")

    plant(fault)
    assert flagged(ask(vlm, [chats[1]])) == {"none"}


def test_the_prompts_of_two_requests_exchanged(vlm: VLM, plant: Plant) -> None:
    before: list[Tensor] = []

    def fault(batch: Batch) -> None:
        before.append(batch["input_ids"])
        batch["input_ids"] = batch["input_ids"].flip(0) if vlm.exact else before[0]

    vlm.batch_size = 2
    plant(fault)
    pair = [request("甲乙丙", id="x"), request("丙乙甲", id="y")]
    wrong = flagged(ask(vlm, pair))
    assert wrong == {"x", "y"} if vlm.exact else len(wrong) == 1  # read one by one, the first is right


@pytest.mark.parametrize("batch_size", [1, 4])
def test_no_false_alarm(vlm: VLM, chats: list[Request], example: list[Request], batch_size: int) -> None:
    vlm.batch_size = batch_size
    odd = request("e\u0301 \u212b…😋👍🏽\u200d  空\u3000格", "<|im_end|> {{ x }}", query="ﬁ ½", id="odd")
    answers = ask(vlm, [*example, *chats, odd])
    assert len(answers) == 12
    assert flagged(answers) == set()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_no_false_alarm_in_half_precision(
    checkpoint: Path, load_vlm: LoadVLM, chats: list[Request], dtype: str
) -> None:
    assert flagged(ask(load_vlm(checkpoint, dtype=dtype, batch_size=4), chats)) == set()


def test_the_audit_listens_again_after_a_fault(vlm: VLM, chats: list[Request], plant: Plant) -> None:
    plant(lambda batch: cut(batch, 0, 0, 5))
    assert flagged(ask(vlm, chats)) == {"two", "none", "three", "one"}
    plant(lambda batch: None)
    assert flagged(ask(vlm, chats)) == set()


def another_shape(batch: Batch) -> None:
    """As many patches of the first picture, twice as high and half as wide."""
    if "image_grid_thw" in batch:
        time, height, width = batch["image_grid_thw"][0].tolist()
        batch["image_grid_thw"][0] = torch.tensor([time, height * 2, width // 2])


def test_whatever_only_confuses_the_model(vlm: VLM, chats: list[Request], plant: Plant) -> None:
    def unmarked(batch: Batch) -> None:
        batch["mm_token_type_ids"] *= 0

    for fault in (another_shape, unmarked, shorten_a_run(vlm)):
        plant(fault)
        assert flagged(ask(vlm, chats)) == {"two", "three", "one"}
