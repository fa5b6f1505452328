"""Requests as model inputs: the text with its placeholders, every image processed by itself."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image
from f2rcli.tasks.tags import TAGS
from f2rcli.tasks.types import Request, image_tag


@dataclass
class ModelInput:
    """One request as the model will see it.

    `text` has one placeholder an image, `ids` one a visual token; `images` are the image processor's
    outputs, one dict an image in the record's order (Qwen: `pixel_values` of patches × values,
    `image_grid_thw` of 1 × 3). `escaped` counts typed control tokens that were made plain text.
    """

    request: Request
    text: str
    ids: list[int]
    images: list[dict[str, Tensor]]
    visual_tokens: list[int]
    escaped: int


class InputBuilder:
    """Turns requests into `ModelInput`s with a checkpoint's processor."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        control = {*self.tokenizer.get_added_vocab(), processor.image_token} - set(TAGS)
        longest_first = sorted(control, key=len, reverse=True)
        self.control = re.compile("|".join(map(re.escape, longest_first)))
        self.cache: dict[str, dict[str, Tensor]] = {}
        self.cached_for = ""

    def build(self, request: Request) -> ModelInput:
        """Raises InputError if an image cannot be read."""
        if request.dialogue.digest != self.cached_for:  # kept for the queries of one dialogue
            self.cache, self.cached_for = {}, request.dialogue.digest
        files = {image.id: image.file for image in request.dialogue.images}
        messages, order, escaped = self._messages(request)
        text = self._templated(messages, add_generation_prompt=True)
        _check_template(messages, text, self.processor.image_token)
        images = [self._image(files[image_id]) for image_id in order]
        replacements = [self.processor.replace_image_token(image, 0) for image in images]
        (expanded,), _ = self.processor.get_text_with_replacements([text], replacements)
        ids = self.tokenizer(expanded, add_special_tokens=False)["input_ids"]
        visual_tokens = [text.count(self.processor.image_token) for text in replacements]
        return ModelInput(request, text, ids, images, visual_tokens, escaped)

    def ending(self, request: Request, answer: str) -> str:
        """What the chat template writes behind the request's prompt if this is the model's answer.

        Raises InputError if the prompt of an answered turn is not the one that is answered from.
        """
        messages, _, _ = self._messages(request)
        prompt = self._templated(messages, add_generation_prompt=True)
        spoken = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        whole = self._templated([*messages, spoken], add_generation_prompt=False)
        ending = whole.removeprefix(prompt)
        if not whole.startswith(prompt) or not ending.lstrip().startswith(answer):
            raise InputError(
                "the chat template does not write an answer straight behind the prompt that asks for it",
                fix="use a checkpoint whose template does (not one that opens with a thinking block)",
            )
        return ending

    def _templated(self, messages: list[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        text: str = self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return text

    def _messages(self, request: Request) -> tuple[list[dict[str, Any]], list[int], int]:
        """Chat messages with pictures in place, the image ids in that order, and the escapes."""
        merged: list[str | int] = [""]
        for part in request.prompt.parts():
            merged[-1] = f"{merged[-1]}{part if isinstance(part, str) else image_tag(part)}"
            if isinstance(part, int):
                merged += [part, ""]
        system, escaped = self._plain(request.prompt.system or "")
        content: list[dict[str, str]] = []
        for part in merged:
            if isinstance(part, int):
                content.append({"type": "image"})
            elif part:
                text, count = self._plain(part)
                content.append({"type": "text", "text": text})
                escaped += count
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if request.prompt.system is not None:
            spoken = [{"type": "text", "text": system}]
            messages.insert(0, {"role": "system", "content": spoken})
        return messages, [part for part in merged if isinstance(part, int)], escaped

    def _plain(self, text: str) -> tuple[str, int]:
        """Text in which no control token of this tokenizer stands, save the FFR tags.

        Somebody who types `<|im_end|>` or the image placeholder into a chat must neither end the
        prompt nor shift the pictures.
        """
        return self.control.subn(lambda token: f"{token[0][0]} {token[0][1:]}", text)

    def _image(self, file: str | None) -> dict[str, Tensor]:
        if file is None:
            raise InputError("an image without a file")
        if file not in self.cache:
            image = open_image(file)
            try:
                processed = self.processor.image_processor(images=[image], return_tensors="pt")
            except ValueError as error:  # such as an absurd aspect ratio
                raise InputError(str(error), where=f"image {file}") from None
            self.cache[file] = dict(processed)
        return self.cache[file]

    def collate(
        self, inputs: list[ModelInput], padding: Literal["left", "right"] = "left"
    ) -> dict[str, Tensor]:
        """A padded batch: `input_ids`, `attention_mask` (both batch × length), image tensors."""
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
        if getattr(self.processor, "return_mm_token_type_ids", False):
            types = self.processor.create_mm_token_type_ids(rows)
            batch["mm_token_type_ids"] = torch.tensor(types) * batch["attention_mask"]
        images = [image for one in inputs for image in one.images]
        for key in images[0] if images else ():
            batch[key] = torch.cat([image[key] for image in images])
        return batch


def squash(text: str) -> str:
    """Tokenizers and templates may normalise Unicode and white space; nothing else may change."""
    return "".join(unicodedata.normalize("NFC", text).split())


def _check_template(messages: list[dict[str, Any]], text: str, image_token: str) -> None:
    """Every text of the messages stands in the templated prompt, in order and on its side of the
    pictures; a template that cuts or moves one is an error. Raises InputError."""
    pieces = [squash(piece) for piece in text.split(image_token)]
    place = begin = 0
    for part in (part for message in messages for part in message["content"]):
        if part["type"] == "image":
            place, begin = place + 1, 0
            continue
        at = pieces[place].find(squash(part["text"]), begin) if place < len(pieces) else -1
        if at < 0:
            raise InputError("input audit: the chat template changes the prompt's text")
        begin = at + len(squash(part["text"]))
    if place != len(pieces) - 1:
        what = f"{len(pieces) - 1} placeholders for {place} pictures"
        raise InputError(f"input audit: the chat template writes {what}")
