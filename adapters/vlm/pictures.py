"""Pictures as a checkpoint's processor makes them, one by one, and laid out in a batch as it does.

A dialogue's pictures are made once for all its queries, so each is made by itself. That this is what the
processor makes of them together is not taken for granted: it is tried on two pictures before anything is
asked, for every architecture alike, and one for which it does not hold is refused.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import PIL.Image
import torch
from torch import Tensor

from f2rcli.adapters.vlm.pixels import RAW, Pixels
from f2rcli.adapters.vlm.processor import replaced
from f2rcli.tasks.errors import InputError

Tensors = dict[str, Tensor]
TEXT_KEYS = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
JOINT = " and "
Place = tuple[int | slice, ...]


@dataclass(frozen=True, eq=False)
class Features:
    """A picture as the language model gets it: visual tokens × width, and the same for each of the
    layers that get something of it besides (Qwen3-VL)."""

    pooled: Tensor
    deeper: tuple[Tensor, ...] = ()


@dataclass(eq=False)
class Picture:
    """A picture as the processor makes it: its tensors, and what is written in a placeholder's place.

    Its pixels are bytes where `Pixels` holds. Once it has been through the vision tower, there are its
    `features` instead of them, and a `fault` if it did not arrive there as it was made.
    """

    tensors: Tensors
    written: str
    features: Features | None = None
    fault: str | None = None


class Pictured(Protocol):
    """What a batch is made of: a request's pictures in order."""

    @property
    def images(self) -> Sequence[Picture]: ...


class Pictures:
    """Makes pictures and batches of them with a checkpoint's processor.

    `layouts` says of each tensor how the processor puts several pictures into it: `flat`, one behind
    the other (Qwen's patches, InternVL's tiles); `nested`, a row a request, in it one behind the other
    (Idefics 3); `count`, how many pictures a request has. What is shorter is filled up with zeros.
    `company` is whether a picture looks otherwise beside another (LLaVA-OneVision then makes no tiles).
    `types` names the tensor in which the processor marks visual tokens, if there is one; `specials` is
    whether a prompt gets tokens of the tokenizer's own.
    Raises InputError for a processor whose pictures cannot be made one by one.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        pair = probes()[:2]
        try:
            together, written = self._call(pair)
            marks = [key for key in TEXT_KEYS[2:] if key in together]
            self.types = marks[0] if marks else None
            self.company, self.layouts = self._learnt(pair, together, written)
        except InputError:
            raise
        except Exception as error:  # a processor may raise anything
            line = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"its processor cannot be asked for pictures: {line[:300]}") from None
        ids = self.tokenizer(written[0], add_special_tokens=False)["input_ids"]
        runs = [(len(list(run)), token) for token, run in groupby(ids)]
        self.visual_token_id = max(runs)[1]
        self.visual_token: str = self.tokenizer.convert_ids_to_tokens(self.visual_token_id)
        self.usual: int = ids.count(self.visual_token_id)  # visual tokens of a picture
        self.specials = self._adds_specials(together, written)
        self.pixels = Pixels.proven(processor.image_processor, self._both_ways(pair))

    def _both_ways(self, pair: list[PIL.Image.Image]) -> Iterator[tuple[Tensors, Tensors]]:
        """Of each picture, its tensors with pixels as bytes would have them, and as they should be."""
        for picture in pair:
            yield self._call([picture], **RAW)[0], self._call([picture])[0]

    def _learnt(
        self, pair: list[PIL.Image.Image], together: Tensors, written: list[str]
    ) -> tuple[bool, dict[str, str]]:
        """`company` and `layouts`: how pictures made by themselves give what was made of a pair."""
        for company in (False, True):
            repeated = 1 + company
            made = [self._call([picture] * repeated) for picture in pair]
            layouts = {
                key: _layout([tensors[key] for tensors, _ in made], whole, repeated)
                for key, whole in together.items()
                if key not in TEXT_KEYS
            }
            if all(layouts.values()) and [texts[0] for _, texts in made] == written:
                return company, {key: str(layout) for key, layout in layouts.items()}
        raise InputError("its processor makes other pictures of two together than of each by itself")

    def make(self, picture: PIL.Image.Image, *, others: bool) -> Picture:
        """`others` is whether more pictures are in the same prompt."""
        repeated = 2 if others and self.company else 1
        if self.pixels:
            parts, written = self._alone(picture, repeated, **RAW)
            try:
                return Picture(self.pixels.as_bytes(parts), written)
            except ValueError:  # of this picture its processor makes something between
                pass
        return Picture(*self._alone(picture, repeated))

    def _alone(self, picture: PIL.Image.Image, repeated: int, **how: bool) -> tuple[Tensors, str]:
        made, written = self._call([picture] * repeated, **how)
        parts = {
            key: _first(made[key], layout, repeated)
            for key, layout in self.layouts.items()
            if layout != "count"
        }
        return parts, written[0]

    def expected_tokens(self, width: int, height: int) -> int:
        """Visual tokens of a picture of that size, before it is read; where a processor cannot tell,
        those of any. It may be wrong, and serves to sort by."""
        if self.company:  # what it tells is of a picture by itself
            return self.usual
        try:
            told = self.processor._get_num_multimodal_tokens(image_sizes=[(height, width)])
            return int(told["num_image_tokens"][0])
        except Exception:
            return self.usual

    def values(self, tensor: Tensor) -> Tensor:
        """What belongs in a batch for a picture's tensor: bytes as the processor's floats."""
        return self.pixels.as_floats(tensor) if self.pixels and tensor.dtype == torch.uint8 else tensor

    def _call(self, pictures: Sequence[PIL.Image.Image], **how: bool) -> tuple[Tensors, list[str]]:
        """What the processor itself makes of one prompt with these pictures."""
        text = JOINT.join([self.processor.image_token] * len(pictures))
        replaced.texts = []
        # padding would be a setting of the tokenizer, which other threads use at the same time
        how["padding"] = False
        made = self.processor(text=[text], images=[list(pictures)], return_tensors="pt", **how)
        if len(replaced.texts) != len(pictures):
            raise ValueError("it does not say what stands in a picture's place (replace_image_token)")
        return dict(made), list(replaced.texts)

    def _adds_specials(self, together: Tensors, written: list[str]) -> bool:
        """Whether the processor lets the tokenizer add its own tokens (LLaVA-1.5: a first one)."""
        text, ids = JOINT.join(written), together["input_ids"].tolist()
        if self.types and together[self.types].tolist() != self.marks(ids):
            raise InputError(f"its processor marks other visual tokens than it says ({self.types})")
        for specials in (True, False):
            if ids == [self.tokenizer(text, add_special_tokens=specials)["input_ids"]]:
                return specials
        raise InputError("its processor makes another prompt than its tokenizer does")

    def marks(self, rows: list[list[int]]) -> list[list[int]]:
        """Which tokens are visual (1), as the processor marks them, or zeros where it marks none."""
        if not self.processor.return_mm_token_type_ids:
            return [[0] * len(row) for row in rows]
        marked: list[list[int]] = self.processor.create_mm_token_type_ids(rows)
        return marked

    def collate(self, inputs: Sequence[Pictured], without: Collection[str] = ()) -> Tensors:
        """The image tensors of a batch but those named: none if it has no picture."""
        some = next((one.images[0] for one in inputs if one.images), None)
        if some is None:
            return {}
        batch: Tensors = {}
        for key, layout in self.layouts.items():
            if key in without:
                continue
            if layout == "count":
                batch[key] = torch.tensor([len(one.images) for one in inputs if one.images])
                continue
            rows = [[self.values(image.tensors[key]) for image in one.images] for one in inputs]
            if layout == "flat":
                batch[key] = join([values for row in rows for values in row], 0)
            else:
                nothing = self.values(some.tensors[key])[:, :0]
                batch[key] = join([join(row or [nothing], 1) for row in rows], 0)
        return batch

    def places(self, key: str, inputs: Sequence[Pictured]) -> Iterator[tuple[int, int, Place, Tensor]]:
        """Of every picture: its row, its number there, its place in the batch, and what belongs there.

        (Not for a `count`, which is of requests.)
        """
        begin = 0
        for row, one in enumerate(inputs):
            nested = self.layouts[key] == "nested"
            begin = 0 if nested else begin
            for k, image in enumerate(one.images):
                made = self.values(image.tensors[key])
                made = made[0] if nested else made
                end = begin + len(made)
                yield row, k, ((row, slice(begin, end)) if nested else (slice(begin, end),)), made
                begin = end


def join(parts: Sequence[Tensor], dim: int) -> Tensor:
    """Tensors behind each other along `dim`, zeros at the end of what is shorter along another."""
    shape = [max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True)]
    filled = []
    for part in parts:
        size = [*shape[:dim], part.shape[dim], *shape[dim + 1 :]]
        if list(part.shape) != size:
            wide = part.new_zeros(size)
            wide[tuple(map(slice, part.shape))] = part
            part = wide
        filled.append(part)
    return torch.cat(filled, dim)


def _layout(made: list[Tensor], together: Tensor, repeated: int) -> str | None:
    """How the parts stand in what was made together; each was made `repeated` times."""
    for layout, dim in (("flat", 0), ("nested", 1)):
        if any(one.ndim <= dim or one.shape[dim] % repeated for one in made):
            continue
        parts = [_first(one, layout, repeated) for one in made]
        if {part.ndim for part in parts} == {together.ndim} and torch.equal(join(parts, dim), together):
            return layout
    if all(one.tolist() == [repeated] for one in made) and together.tolist() == [len(made)]:
        return "count"
    return None


def _first(made: Tensor, layout: str, repeated: int) -> Tensor:
    """The first of so many equal pictures."""
    return made if repeated == 1 else made.chunk(repeated, 1 if layout == "nested" else 0)[0]


def probes() -> list[PIL.Image.Image]:
    """Three pictures like no others, so that nothing can be taken for something else."""
    return [
        PIL.Image.frombytes("RGB", size, random.Random(str(size)).randbytes(size[0] * size[1] * 3))
        for size in ((96, 64), (72, 132), (84, 88))
    ]
