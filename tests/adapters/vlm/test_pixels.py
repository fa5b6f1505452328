"""Pixels as bytes: to the last bit the processor's floats, or no bytes at all."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from short_chats import picture, request
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.inputs import InputBuilder
from f2rcli.adapters.vlm.pixels import Pixels
from f2rcli.adapters.vlm.processor import load_processor
from f2rcli.tasks.images import open_image

LoadVLM = Callable[..., VLM]
SIZES = [(56, 56), (28, 28), (112, 40), (40, 112), (30, 200), (211, 97), (300, 300), (57, 83)]
MEAN, STD = (0.5, 0.25, 0.0), (0.5, 0.25, 0.125)


class Plain:
    """An image processor that is not torchvision's: (value / 255 - mean) / std."""

    image_mean, image_std, rescale_factor = MEAN, STD, 1 / 255
    do_rescale = do_normalize = True

    def rescale(self, image: np.ndarray, factor: float) -> np.ndarray:
        return image.astype(np.float32) * np.float32(factor)

    def normalize(self, image: np.ndarray, mean: Any, std: Any) -> np.ndarray:
        shape = (3, 1, 1)
        mean, std = (np.array(one, np.float32).reshape(shape) for one in (mean, std))
        return (image - mean) / std

    def __call__(self, raw: Tensor) -> Tensor:
        """Of … × 3 × height × width."""
        made = self.rescale(raw.numpy(), self.rescale_factor)
        return torch.from_numpy(self.normalize(made, MEAN, STD))


def pixels(tried: Any = ()) -> Pixels:
    found = Pixels.proven(Plain(), tried)
    assert found
    return found


def test_the_table_is_what_the_processor_makes_of_every_value() -> None:
    table = pixels().table
    assert table.shape == (3, 256)
    for colour, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        for value in (0, 1, 51, 255):
            assert float(table[colour, value]) == pytest.approx((value / 255 - mean) / std, abs=1e-6)
    assert table[:, 0].tolist() == [-1, -1, 0]
    assert table[:, 255].tolist() == pytest.approx([1, 3, 8])


def test_without_rescaling_or_normalising() -> None:
    plain = Plain()
    plain.do_normalize = False
    found = Pixels.proven(plain, [])
    assert found
    assert found.table[:, 51].tolist() == pytest.approx([0.2] * 3)
    plain.do_rescale = False
    found = Pixels.proven(plain, [])
    assert found
    assert found.table[:, 51].tolist() == [51] * 3


def test_patches_are_colour_by_colour() -> None:
    """Of 2 patches of 3 × 2 values: the first two are red."""
    raw = torch.tensor([[0, 255, 0, 255, 0, 255], [51, 0, 0, 51, 51, 0]], dtype=torch.uint8)
    table = pixels().table
    wanted = [[table[i // 2, value] for i, value in enumerate(row)] for row in raw.tolist()]
    assert torch.equal(pixels().as_floats(raw), torch.tensor(wanted))


@given(st.integers(0, 2**32 - 1), st.sampled_from([(3, 4, 5), (1, 3, 2, 7), (2, 4, 3, 1, 1)]))
def test_pictures_are_what_the_processor_makes(seed: int, shape: tuple[int, ...]) -> None:
    raw = torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    assert torch.equal(pixels().as_floats(raw), Plain()(raw))


def test_bytes_are_kept_where_there_are_bytes_and_nowhere_else() -> None:
    values = torch.tensor([[0.0, 255.0]])
    kept = pixels().as_bytes({"pixel_values": values, "grid": torch.tensor([[300]])})
    assert kept["pixel_values"].dtype == torch.uint8
    assert kept["pixel_values"].tolist() == [[0, 255]]
    assert kept["grid"].tolist() == [[300]]
    for odd in (0.5, -1.0, 256.0, torch.nan):
        with pytest.raises(ValueError, match="no bytes"):
            pixels().as_bytes({"pixel_values": torch.tensor([odd])})


def shown(raw: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return {"pixel_values": raw}, {"pixel_values": Plain()(raw)}


def test_a_table_has_to_hold_bit_by_bit_for_everything() -> None:
    raw = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4) * 5
    plain = Plain()
    assert Pixels.proven(plain, [shown(raw)])
    kept, made = shown(raw)
    last = made["pixel_values"][..., -1:]
    for odd in (
        torch.cat([made["pixel_values"][..., :-1], torch.zeros_like(last)], -1),  # zeros behind it all
        made["pixel_values"].nextafter(torch.tensor(9.0)),  # one bit off
        made["pixel_values"].double(),
        made["pixel_values"][..., :-1],
    ):
        assert Pixels.proven(plain, [shown(raw), (kept, {"pixel_values": odd})]) is None
    assert Pixels.proven(plain, [({"pixel_values": raw / 2}, made)]) is None  # half a byte
    assert Pixels.proven(plain, [(kept, {**made, "mask": raw})]) is None  # something else besides
    assert Pixels.proven(SimpleNamespace(), [shown(raw)]) is None  # made in another way


@pytest.fixture(scope="module")
def builder(family: tuple[str, Path]) -> InputBuilder:
    return InputBuilder(load_processor(family[1], family[0], None))


@pytest.mark.parametrize("others", [False, True])
def test_pictures_of_all_sizes_are_the_processors_own(builder: InputBuilder, others: bool) -> None:
    made = builder.pictures
    assert made.pixels  # each of these families keeps bytes
    for number, size in enumerate(SIZES):
        noise = torch.Generator().manual_seed(number)
        values = torch.randint(256, (size[1], size[0], 3), generator=noise, dtype=torch.uint8)
        image = PIL.Image.fromarray(values.numpy())
        one = made.make(image, others=others)
        alone, written = made._call([image] * (2 if others and made.company else 1))
        assert one.written == written[0]
        floating = [key for key, values in alone.items() if values.is_floating_point()]
        assert floating
        for key in one.tensors:
            value = made.values(one.tensors[key])
            wanted = alone[key][: len(value)] if made.company and others else alone[key]
            assert value.dtype == wanted.dtype
            assert torch.equal(value, wanted), (size, key)
        assert all(one.tensors[key].dtype == torch.uint8 for key in floating)


def test_extremes_of_colour(builder: InputBuilder) -> None:
    for colour in ((0, 0, 0), (255, 255, 255), (0, 255, 0), (127, 128, 1)):
        image = PIL.Image.new("RGB", (80, 60), colour)
        one, (alone, _) = builder.pictures.make(image, others=False), builder.pictures._call([image])
        for key, values in one.tensors.items():
            assert torch.equal(builder.pictures.values(values), alone[key])


def test_a_processor_that_does_more_keeps_its_floats(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose values depend on where in a picture they stand."""
    whole = Qwen2VLImageProcessorPil.normalize

    def normalize(self: Any, image: np.ndarray, *args: Any, **given: Any) -> np.ndarray:
        made = whole(self, image, *args, **given)
        if image.shape[-1] != 16:  # not the table's own picture
            made[..., -1] = 0
        return made

    path = picture(tmp_path / "图.png", 3)
    chat = request("看猫", ("", [path]))
    (before,) = load_vlm(tiny_qwen2_vl, max_new_tokens=8).retrieve([chat])
    monkeypatch.setattr(Qwen2VLImageProcessorPil, "normalize", normalize)
    vlm = load_vlm(tiny_qwen2_vl, max_new_tokens=8)
    made = vlm.inputs.pictures
    assert made.pixels is None
    one = made.make(open_image(str(path)), others=False)
    assert one.tensors["pixel_values"].dtype == torch.float32
    assert torch.equal(
        one.tensors["pixel_values"], made._call([open_image(str(path))])[0]["pixel_values"]
    )
    (got,) = vlm.retrieve([chat])
    (exact,) = load_vlm(tiny_qwen2_vl, max_new_tokens=8, exact=True).retrieve([chat])
    assert (got.text, got.failure) == (exact.text, exact.failure)
    assert before.prompt_tokens == got.prompt_tokens
