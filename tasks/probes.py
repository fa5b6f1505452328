"""Probes: requests changed in one known way, to see what a model's score rests on.

The gold answer is changed along, so that a perfect model stays perfect.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from f2rcli.tasks import tags
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import upright_size
from f2rcli.tasks.mini.cache import cache_root
from f2rcli.tasks.types import Fragment, Image, Request

# What a dialogue needs for a probe to change it: so many of `Dialogue.utterances` or `.images`.
NEEDS = {
    "shuffle-image-ids": (2, "images"),
    "blank-images": (1, "images"),
    "text-only": (1, "images"),
    "shuffle-turns": (2, "utterances"),
}
SEEDED = ("shuffle-image-ids", "shuffle-turns")
HIDING = ("blank-images", "text-only")  # they change nothing for a model that sees no pictures
GREY = 128  # of 255, in every channel
_OPENING = re.compile(rf"[^\S\n]*{tags.UTTERANCE_ID.pattern}")


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe by its name (a key of NEEDS). Permutations are drawn by `seed` and the dialogue's content,
    so that all queries of a dialogue meet the same one."""

    name: str
    seed: int = 0

    def identity(self) -> dict[str, Any]:
        """What of it answers depend on."""
        return {"name": self.name} | ({"seed": self.seed} if self.name in SEEDED else {})

    @property
    def needs(self) -> str:
        """What a dialogue that it changes has, in words."""
        least, what = NEEDS[self.name]
        return f"at least {least} {what}" if least > 1 else what

    def changes(self, request: Request) -> bool:
        least, what = NEEDS[self.name]
        return len(getattr(request.dialogue, what)) >= least

    def apply(self, request: Request) -> Request:
        """The request as this probe asks it. Raises InputError if its turns cannot be moved."""
        probed = replace(request, probe=self.name, origin=request.digest)
        if not self.changes(request):
            return probed
        if self.name == "text-only":
            return replace(probed, prompt=replace(request.prompt, pictures=False))
        rng = Random(f"{self.name} {self.seed} {request.dialogue.digest}")
        places = range(len(request.dialogue.utterances))
        if self.name == "shuffle-image-ids":
            return _rearranged(probed, places, _cycle(len(request.dialogue.images), rng))
        if self.name == "shuffle-turns":
            order = _cycle(len(places), rng)
            said = (request.dialogue.utterances[place] for place in order)
            appearing = [image for utterance in said for image in utterance.images]
            numbers = sorted(range(len(appearing)), key=appearing.__getitem__)
            return _rearranged(probed, order, numbers)
        return probed  # what is blank is made of the files, by `seen`

    def seen(self, request: Request) -> Request:
        """The request, its pictures' files found, with the files that a model is to see instead.

        A picture that cannot be read stays as it is: asking fails on it, as without the probe.
        Raises InputError if grey pictures cannot be kept.
        """
        if self.name != "blank-images":
            return request
        images = tuple(_blank(image) for image in request.dialogue.images)
        return replace(request, dialogue=replace(request.dialogue, images=images))


def _cycle(count: int, rng: Random) -> list[int]:
    """A random permutation that is one cycle: of two or more, none stays where it was (Sattolo 1986)."""
    cycle = list(range(count))
    for last in range(count - 1, 0, -1):
        other = rng.randrange(last)
        cycle[last], cycle[other] = cycle[other], cycle[last]
    return cycle


def _rearranged(request: Request, order: Sequence[int], numbers: Sequence[int]) -> Request:
    """The request with what was said at place `order[k]` at place k, and image i called `numbers[i]`.

    A place keeps its utterance id and its line break; speaker, text and pictures move. Ids of a faulty
    gold answer that the dialogue lacks are lacking afterwards, too.
    """
    dialogue, prompt = request.dialogue, request.prompt
    if order != range(len(order)) and not tags.QUERY.search(prompt.head):
        _refuse_query_in_turns(request)
    places = dialogue.utterances
    moved = [places[place] for place in order]
    utterances = tuple(
        replace(said, id=place.id, images=tuple(numbers[image] for image in said.images))
        for place, said in zip(places, moved, strict=True)
    )
    images = (replace(image, id=numbers[image.id]) for image in dialogue.images)
    lines = [_taken_apart(turn) for turn in prompt.turns]
    turns = tuple(
        (opening, *(_renumbered(part, numbers) for part in lines[place][1]), ending)
        for place, (opening, _, ending) in zip(order, lines, strict=True)
    )
    ids = {said.id: place.id for place, said in zip(places, moved, strict=True)}
    gold = request.gold and Fragment(
        frozenset(ids.get(i, i) for i in request.gold.utterances),
        frozenset(numbers[i] if i < len(numbers) else i for i in request.gold.images),
    )
    return replace(
        request,
        dialogue=replace(
            dialogue, utterances=utterances, images=tuple(sorted(images, key=lambda image: image.id))
        ),
        prompt=replace(prompt, turns=turns),
        gold=gold,
    )


def _refuse_query_in_turns(request: Request) -> None:
    """A recorded prompt that asks after the dialogue has its question in the last line of it."""
    if any(isinstance(part, str) and tags.QUERY.search(part) for part in request.prompt.turns[-1]):
        raise InputError(
            "asks after the dialogue, so its last turn cannot be told from the question",
            where=request.where,
            fix="--prompt en or zh asks before it",
        )


def _taken_apart(turn: tuple[str | int, ...]) -> tuple[str, list[str | int], str]:
    """A prompt's line as its tag, what was said (and the pictures in it), and its line break."""
    first, *rest = turn
    tag = _OPENING.match(str(first))
    assert tag, "a turn begins with its utterance's tag"
    said: list[str | int] = [str(first)[tag.end() :], *rest]
    last, ending = said[-1], ""
    if isinstance(last, str):
        said[-1] = last.rstrip("\r\n")
        ending = last[len(last.rstrip("\r\n")) :]
    return tag[0], said, ending


def _renumbered(part: str | int, numbers: Sequence[int]) -> str | int:
    """An image's new id. Text stays, save what the new numbers would make a picture of."""
    return tags.escape_pictures(part) if isinstance(part, str) else numbers[part]


def _blank(image: Image) -> Image:
    assert image.file, "the pictures are found first"
    try:
        width, height = upright_size(image.file)
    except InputError:
        return image
    return replace(image, file=str(_grey(width, height)))


def _grey(width: int, height: int) -> Path:
    """A grey picture of this size, made now if it is not in the cache. Raises InputError."""
    import PIL.Image

    file = cache_root() / "grey" / f"{width}x{height}.png"
    part = file.with_name(f"{file.stem}.{os.getpid()}.part")
    try:
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.new("L", (width, height), GREY).save(part, format="PNG")
            part.replace(file)
    except OSError as error:
        raise InputError(
            f"grey pictures cannot be kept there ({error.strerror or error})",
            where=str(cache_root()),
            fix="F2R_CACHE says where else",
        ) from None
    return file
