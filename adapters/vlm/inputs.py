"""Requests as model inputs: the text with its placeholders, every image processed by itself."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import PIL.Image
import torch
from torch import Tensor

from f2rcli.adapters.vlm.pictures import JOINT, Picture, Pictures, probes
from f2rcli.adapters.vlm.template import PROBE, ChatTemplate
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image
from f2rcli.tasks.tags import TAGS
from f2rcli.tasks.types import Request, image_tag


@dataclass
class Shown:
    """A prompt as the model will see it.

    `text` has one placeholder an image, `expanded` what stands in its place, `ids` are the tokens of
    that; `images` are as the processor makes them, in the record's order (Qwen: `pixel_values` of
    patches × values, `image_grid_thw` of 1 × 3), and `visual_tokens` their tokens.
    """

    text: str
    expanded: str
    ids: list[int]
    images: list[Picture]
    visual_tokens: list[int]


@dataclass
class ModelInput(Shown):
    """One request as the model will see it; `escaped` counts typed control tokens made plain text."""

    request: Request
    escaped: int


class InputBuilder:
    """Turns requests into `ModelInput`s with a checkpoint's processor.

    Raises InputError for a processor or a chat template that cannot be proved to keep them whole.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.pictures = Pictures(processor)
        self.template = ChatTemplate(processor)
        control = {*self.tokenizer.get_added_vocab(), processor.image_token} - set(TAGS)
        written = [token for token in control if len(token.strip(" \n\t▁")) > 1]  # Gemma has "\n\n"
        longest_first = sorted(written, key=len, reverse=True)
        self.control = re.compile("|".join(map(re.escape, longest_first)))
        self.cache: dict[tuple[str, tuple[int, ...]], Picture] = {}  # file, ids of all that are shown
        self.cached_for = ""
        self.expected: dict[str | None, int] = {}  # visual tokens by file, as its header lets expect

    def build(self, request: Request) -> ModelInput:
        """Raises InputError if an image cannot be read, or the chat template changes the prompt."""
        if request.dialogue.digest != self.cached_for:  # kept for the queries of one dialogue
            self.cache, self.cached_for = {}, request.dialogue.digest
        files = {image.id: image.file for image in request.dialogue.images}
        system, parts, order, escaped = self._spoken(request)
        text = self.template.prompt(system, parts)
        made = [self._image(files[image_id], tuple(order)) for image_id in order]
        return ModelInput(**vars(self._shown(text, made)), request=request, escaped=escaped)

    def length(self, request: Request) -> int:
        """About how many tokens `build` will make of a request; no picture is read for it."""
        system, parts, order, _ = self._spoken(request)
        tokens = self.tokenizer("".join(filter(None, [system, *parts])))["input_ids"]
        files = {image.id: image.file for image in request.dialogue.images}
        return len(tokens) + sum(self._expected(files[i]) for i in order)

    def _expected(self, file: str | None) -> int:
        if file not in self.expected:
            self.expected[file] = self.pictures.expected_tokens(*_size(file))
        return self.expected[file]

    def forget(self) -> None:
        """Make pictures anew: they may belong to weights that have changed since."""
        self.cache, self.cached_for = {}, ""

    def probe(self, *, pictures: bool = True) -> Shown:
        """A prompt of three pictures of noise, or of a few words alone, to try a model on."""
        if not pictures:
            return self._shown(self.template.prompt(None, [JOINT]), [])
        made = [self.pictures.make(picture, others=True) for picture in probes()]
        return self._shown(self.template.prompt(None, PROBE), made)

    def _shown(self, text: str, images: list[Picture]) -> Shown:
        written = [image.written for image in images]
        first, *pieces = text.split(self.processor.image_token)
        expanded = first + "".join(f"{a}{b}" for a, b in zip(written, pieces, strict=True))
        begins = bool(self.tokenizer.bos_token) and text.startswith(self.tokenizer.bos_token)
        specials = self.pictures.specials and not begins
        ids = self.tokenizer(expanded, add_special_tokens=specials)["input_ids"]
        visual_tokens = [each.count(self.pictures.visual_token) for each in written]
        return Shown(text, expanded, ids, images, visual_tokens)

    def ending(self, request: Request, answer: str) -> str:
        """What the chat template writes behind the request's prompt if this is the model's answer.

        Raises InputError if the prompt of an answered turn is not the one that is answered from.
        """
        system, parts, _, _ = self._spoken(request)
        prompt = self.template.prompt(system, parts)
        whole = self.template.answered(system, parts, answer)
        ending = whole.removeprefix(prompt)
        if not whole.startswith(prompt) or not ending.lstrip().startswith(answer):
            raise InputError(
                "the chat template does not write an answer straight behind the prompt that asks for it",
                fix="use a checkpoint whose template does (not one that opens with a thinking block)",
            )
        return ending

    def _spoken(self, request: Request) -> tuple[str | None, list[str | None], list[int], int]:
        """The system text, the texts with None in a picture's place, whose pictures, the escapes."""
        merged: list[str | int] = [""]
        for part in request.prompt.parts():
            merged[-1] = f"{merged[-1]}{part if isinstance(part, str) else image_tag(part)}"
            if isinstance(part, int):
                merged += [part, ""]
        system, escaped = self._plain(request.prompt.system or "")
        parts: list[str | None] = []
        for part in merged:
            if isinstance(part, int):
                parts.append(None)
            elif part:
                text, count = self._plain(part)
                parts.append(text)
                escaped += count
        order = [part for part in merged if isinstance(part, int)]
        return (None if request.prompt.system is None else system), parts, order, escaped

    def _plain(self, text: str) -> tuple[str, int]:
        """Text in which no control token of this tokenizer stands, save the FFR tags.

        Somebody who types `<|im_end|>` or the image placeholder into a chat must neither end the
        prompt nor shift the pictures.
        """
        return self.control.subn(lambda token: f"{token[0][0]} {token[0][1:]}", text)

    def _image(self, file: str | None, shown: tuple[int, ...]) -> Picture:
        """One for all prompts that show the same pictures: they are encoded together, and then have no
        pixels."""
        if file is None:
            raise InputError("an image without a file")
        if (file, shown) not in self.cache:
            image = open_image(file)
            try:
                self.cache[file, shown] = self.pictures.make(image, others=len(shown) > 1)
            except ValueError as error:  # such as an absurd aspect ratio
                raise InputError(str(error), where=f"image {file}") from None
        return self.cache[file, shown]

    def collate(
        self,
        inputs: Sequence[Shown],
        padding: Literal["left", "right"] = "left",
        without: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """A padded batch: `input_ids`, `attention_mask` (both batch × length), and the image tensors but
        those named."""
        longest = max(len(one.ids) for one in inputs)
        pad = self.tokenizer.pad_token_id
        pad = self.tokenizer.eos_token_id if pad is None else pad
        gaps = [longest - len(one.ids) for one in inputs]
        rows = [[pad] * gap + one.ids for gap, one in zip(gaps, inputs, strict=True)]
        mask = [[0] * gap + [1] * len(one.ids) for gap, one in zip(gaps, inputs, strict=True)]
        if padding == "right":
            for padded in (rows, mask):
                padded[:] = [row[gap:] + row[:gap] for gap, row in zip(gaps, padded, strict=True)]
        batch = {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask)}
        if self.pictures.types:
            types = torch.tensor(self.pictures.marks(rows))
            batch[self.pictures.types] = types * batch["attention_mask"]
        return {**batch, **self.pictures.collate(inputs, without)}


def _size(file: str | None) -> tuple[int, int]:
    """Width and height by the file's header; that it cannot be read is said when it has to be."""
    try:
        with PIL.Image.open(str(file)) as image:
            return image.size
    except Exception:
        return 0, 0


def for_model(batch: dict[str, Tensor], base: Any) -> dict[str, Tensor]:
    """The batch on the model's device, pictures in its precision (not every tower converts them)."""
    return {
        key: tensor.to(base.device, base.dtype if tensor.is_floating_point() else None)
        for key, tensor in batch.items()
    }
