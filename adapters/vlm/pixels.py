"""Pixels as bytes, a quarter of the memory, and the floats that the processor would have made of them.

After it has resized and cut a picture, a processor rescales and normalises every value by itself. There
are 256 of them in each of 3 colours, so what it would make of bytes is read from a table: 3 × 256 floats
that the image processor itself has made. That this holds is not taken for granted but tried, bit by bit;
where it does not (a processor that fills up with zeros behind normalising), there are no bytes.
"""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

RAW = {"do_rescale": False, "do_normalize": False}
Tensors = dict[str, Tensor]


class Pixels:
    """`table` is 3 × 256: what the image processor makes of each value of each colour."""

    def __init__(self, table: Tensor) -> None:
        self.table = table

    @classmethod
    def proven(cls, image_processor: Any, tried: Iterable[tuple[Tensors, Tensors]]) -> Self | None:
        """For an image processor that makes of the bytes (first) just what a table says (second)."""
        try:
            pixels = cls(_table(image_processor))
            for raw, made in tried:
                kept = pixels.as_bytes(raw)
                for key, values in made.items():
                    there = kept[key]
                    there = pixels.as_floats(there) if there.dtype == torch.uint8 else there
                    if there.dtype != values.dtype or not torch.equal(there, values):
                        return None
        except Exception:  # one that is made otherwise: it makes its floats itself
            return None
        return pixels

    def as_bytes(self, tensors: Tensors) -> Tensors:
        """With pixels as bytes. Raises ValueError for some that are none."""
        return {
            key: _bytes(values) if _are_pixels(values) else values for key, values in tensors.items()
        }

    def as_floats(self, pixels: Tensor) -> Tensor:
        """Of patches × values (colour by colour), or of … × 3 × height × width."""
        self.table = self.table.to(pixels.device)
        patches = pixels.ndim == 2
        colours = pixels.chunk(3, 1) if patches else pixels.unbind(-3)
        made = [
            row.index_select(0, colour.flatten().int()).view(colour.shape)
            for row, colour in zip(self.table, colours, strict=True)
        ]
        return torch.cat(made, 1) if patches else torch.stack(made, -3)


def _table(image_processor: Any) -> Tensor:
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, 0)
    mean, std = image_processor.image_mean, image_processor.image_std
    scales, normalises = image_processor.do_rescale, image_processor.do_normalize
    factor = image_processor.rescale_factor
    if hasattr(image_processor, "rescale_and_normalize"):  # torchvision's
        made = image_processor.rescale_and_normalize(
            torch.from_numpy(ramp), scales, factor, normalises, mean, std
        )
    else:
        made = image_processor.rescale(ramp, factor) if scales else ramp
        made = torch.from_numpy(image_processor.normalize(made, mean, std) if normalises else made)
    table: Tensor = made.float().reshape(3, 256)
    return table


def _are_pixels(values: Tensor) -> bool:
    return values.dtype == torch.uint8 or values.is_floating_point()


def _bytes(values: Tensor) -> Tensor:
    there = values.to(torch.uint8)
    if not torch.equal(there.to(values.dtype), values):
        raise ValueError("no bytes")
    return there
