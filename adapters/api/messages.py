"""What a request says, before it is put into the words of an API."""

from dataclasses import dataclass
from typing import Literal

from f2rcli.adapters.api.pictures import Picture, encode
from f2rcli.tasks.tags import escape, escape_control
from f2rcli.tasks.types import Request, image_tag

Placement = Literal["in-place", "first"]


@dataclass(frozen=True, slots=True)
class Message:
    """System text, the user's text with its pictures, and, where the prompt asks only after the
    dialogue, that `question` apart: what is before it is the same for every query of the dialogue."""

    system: str | None
    parts: tuple[str | Picture, ...]
    question: str = ""

    @property
    def pictures(self) -> list[Picture]:
        return [part for part in self.parts if isinstance(part, Picture)]

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of all text: no tokenizer that reads bytes makes more tokens of it."""
        texts = [self.system or "", self.question, *(p for p in self.parts if isinstance(p, str))]
        return sum(len(text.encode()) for text in texts)


def compose(
    request: Request, encoded: dict[str | None, Picture], max_pixels: int, placement: Placement
) -> Message:
    """The request's prompt with every picture behind its tag, or all of them `first`, in order.

    `encoded` keeps the dialogue's pictures for its other queries. Raises InputError for a picture that
    cannot be read.
    """
    prompt = request.prompt
    files = {image.id: image.file for image in request.dialogue.images}
    texts, pictures = [""], []
    for part in prompt.parts():
        if isinstance(part, str):
            texts[-1] += part
            continue
        file = files[part]
        if file not in encoded:
            encoded[file] = encode(file, max_pixels)
        texts[-1] += image_tag(part)
        texts.append("")
        pictures.append(encoded[file])
    question = ""
    if prompt.tail.strip() and escape(request.query.text) not in prompt.head:
        question, texts[-1] = prompt.tail, texts[-1].removesuffix(prompt.tail)
    parts: list[str | Picture] = [texts[0]]
    if placement == "first":
        parts = [*pictures, "".join(texts)]
    else:
        for picture, text in zip(pictures, texts[1:], strict=True):
            parts += [picture, text]
    # A blank text (a line break after the last picture) says nothing, and some endpoints refuse it.
    said = tuple(
        p if isinstance(p, Picture) else _sound(p) for p in parts if isinstance(p, Picture) or p.strip()
    )
    return Message(None if prompt.system is None else _sound(prompt.system), said, _sound(question))


def _sound(text: str) -> str:
    """Text that UTF-8 can hold (half a character, a lone surrogate, becomes U+FFFD), and in which a
    server finds no control token of its model."""
    return escape_control(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
