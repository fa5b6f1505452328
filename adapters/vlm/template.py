"""A checkpoint's chat template, so that a prompt's pictures stay where they are."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from transformers import ProcessorMixin

from f2rcli.tasks.errors import InputError

Parts = Sequence[str | None]  # texts, and None where a picture stands
FORMS = ("parts", "text", "string")
PROBE: Parts = ("f2r one", None, "f2r two", None, "f2r three", None, "f2r four")


class ChatTemplate:
    """Writes prompts by a checkpoint's chat template, each of them checked.

    `form` is how pictures are given to it: as parts between the texts; or, because templates such as
    LLaVA's gather such parts in front, written into one text as the template itself writes them; or
    as placeholders in a plain string, for templates that take no parts. The first that keeps the order
    is used. Raises InputError if none does.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.token: str = processor.image_token
        self.written = self.token
        refused: list[InputError] = []
        for self.form in FORMS:
            try:
                self.written = self._as_written() if self.form == "text" else self.token
                self.prompt(None, PROBE)
            except InputError as error:
                refused.append(error)
            else:
                return
        raise refused[0]

    def prompt(self, system: str | None, parts: Parts) -> str:
        """The prompt up to where the answer begins. Raises InputError if the template changes it."""
        messages = self._messages(system, parts)
        text = self._render(messages, add_generation_prompt=True)
        self._check([*([system] if system is not None else []), *parts], text)
        return text

    def answered(self, system: str | None, parts: Parts, answer: str) -> str:
        """The whole conversation with an answer behind the prompt."""
        messages = [*self._messages(system, parts), self._message("assistant", [answer])]
        return self._render(messages, add_generation_prompt=False)

    def _messages(self, system: str | None, parts: Parts) -> list[dict[str, Any]]:
        spoken = [self._message("system", [system])] if system is not None else []
        return [*spoken, self._message("user", parts)]

    def _message(self, role: str, parts: Parts) -> dict[str, Any]:
        if self.form == "parts":
            image = {"type": "image"}
            content: Any = [image if p is None else {"type": "text", "text": p} for p in parts]
        else:
            text = "".join(self.written if part is None else part for part in parts)
            content = text if self.form == "string" else [{"type": "text", "text": text}]
        return {"role": role, "content": content}

    def _render(self, messages: list[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        try:
            text: str = ProcessorMixin.apply_chat_template(  # (SmolVLM's own wants a video processor)
                self.processor, messages, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except Exception as error:  # a template may raise anything
            line = " ".join(str(error).split())
            raise InputError(f"its chat template does not work: {line}") from None
        return text

    def _as_written(self) -> str:
        """What the template writes for a picture: what differs from a text in its place."""
        marker = "f2r"
        texts = []
        for part in ({"type": "image"}, {"type": "text", "text": marker}):
            message = {"role": "user", "content": [part]}
            texts.append(self._render([message], add_generation_prompt=True))
        image, other = texts
        at = image.find(self.token)
        end = other[other.find(marker) + len(marker) :].lstrip()
        if image.count(self.token) != 1 or not image.endswith(end):
            raise InputError("the chat template does not write a picture")
        begin = next((i for i, (a, b) in enumerate(zip(image[:at], other, strict=False)) if a != b), at)
        return image[begin : len(image) - len(end)]

    def _check(self, parts: Parts, text: str) -> None:
        """Every text stands in the templated prompt, in order and on its side of the pictures."""
        pieces = [squash(piece) for piece in text.split(self.token)]
        place = begin = 0
        for part in parts:
            if part is None:
                place, begin = place + 1, 0
                continue
            at = pieces[place].find(squash(part), begin) if place < len(pieces) else -1
            if at < 0:
                raise InputError("input audit: the chat template changes the prompt's text")
            begin = at + len(squash(part))
        if place != len(pieces) - 1:
            what = f"{len(pieces) - 1} placeholders for {place} pictures"
            raise InputError(f"input audit: the chat template writes {what}")


def squash(text: str) -> str:
    """Tokenizers and templates may normalise Unicode and white space; nothing else may change."""
    return "".join(unicodedata.normalize("NFC", text).split())
