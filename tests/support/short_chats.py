"""Dialogues of a few turns, and pictures to put into them."""

import random
from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Dialogue, Fragment, Image, Query, Request, Utterance

TEMPLATE = PromptTemplate({"": "{query}\n{dialogue}"})  # the tiny tokenizers know hardly any words
Turn = str | tuple[str, Sequence[Path]]


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (56, 56)) -> Path:
    """A picture of noise, another one for every seed."""
    noise = random.Random(seed).randbytes(size[0] * size[1] * 3)
    PIL.Image.frombytes("RGB", size, noise).save(path)
    return path


def request(
    *turns: Turn, query: str = "猫", gold: Fragment | None = None, id: str = "r", name: str = "d"
) -> Request:
    """A request about a chat of 甲 and 乙; a turn with pictures is a pair of text and files."""
    utterances: list[Utterance] = []
    images: list[Image] = []
    for number, turn in enumerate(turns):
        text, files = (turn, ()) if isinstance(turn, str) else turn
        carried = range(len(images), len(images) + len(files))
        images += [Image(i, str(file), str(file)) for i, file in zip(carried, files, strict=True)]
        utterances.append(Utterance(number, "甲乙"[number % 2], text, tuple(carried)))
    dialogue = Dialogue(name, tuple(utterances), tuple(images))
    return Request(id, dialogue, Query(query), TEMPLATE.render(query, dialogue), gold)


def fragment(utterances: Sequence[int] = (), images: Sequence[int] = ()) -> Fragment:
    return Fragment(frozenset(utterances), frozenset(images))
