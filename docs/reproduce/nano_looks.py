"""Does f2rvlm-nano-sft look? python docs/reproduce/nano_looks.py [SEED] [DECKS]

On the picture-only queries of a fresh mini-mldr: image F1 as it is, with every picture blank, and by
chance. And, where a picture of the fragment and one of another topic both stand beside words that say
nothing, how often the answer has the one and not the other, before and after the two are exchanged: in
its utterances (the lines that carry the pictures) and in its image ids.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

from PIL import Image as Pictures

from f2rcli.adapters.reference import Everything
from f2rcli.adapters.reference import Random as Chance
from f2rcli.adapters.registry import Settings, build, find_row, load_rows
from f2rcli.adapters.retriever import Retriever
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.mini.chats import Chat
from f2rcli.tasks.mini.dialogues import CAPTIONED
from f2rcli.tasks.mini.pictures import draw
from f2rcli.tasks.mini.sets import MiniSet, chats
from f2rcli.tasks.types import Fragment, Image, Request


class Exchange(NamedTuple):
    """A request before and after the pictures `inside` its fragment and `outside` are exchanged."""

    before: Request
    after: Request
    inside: int
    outside: int

    def places(self, modality: str) -> tuple[int, int]:
        """Ids of the two pictures, or of the lines that carry them."""
        if modality == "images":
            return self.inside, self.outside
        carrier = self.before.dialogue.carrier
        return carrier[self.inside], carrier[self.outside]


def measure(model: str, seed: int, decks: int, folder: Path) -> dict[str, float]:
    """Counts and fractions."""
    retriever = build(find_row(model, load_rows()), Settings(batch_size=8))
    asked = list(_picture_only(MiniSet("mini-mldr", "mldr", decks), seed, folder))
    requests = [request for request, _ in asked]
    blank = folder / "blank.png"
    Pictures.new("RGB", (56, 56), (200, 200, 200)).save(blank)
    blanked = [_with(r, [replace(i, file=str(blank)) for i in r.dialogue.images]) for r in requests]
    pairs = [pair for request, chat in asked if (pair := _exchange(request, chat))]
    return {
        "requests": len(requests),
        "as it is": image_f1(retriever, requests),
        "blank": image_f1(retriever, blanked),
        "chance: a third": image_f1(Chance(1 / 3, seed), requests),
        "chance: everything": image_f1(Everything(), requests),
        "exchanges": len(pairs),
        **told_apart(retriever, pairs),
    }


def image_f1(retriever: Retriever, requests: list[Request]) -> float:
    """Micro F1 over image ids; an answer that is not strict is empty."""
    answers = _answers(retriever, requests)
    found = sum(len(answers[r.id].images & r.gold.images) for r in requests if r.gold)
    total = sum(len(answers[r.id].images) + len(r.gold.images) for r in requests if r.gold)
    return 2 * found / total


def told_apart(retriever: Retriever, pairs: list[Exchange]) -> dict[str, float]:
    """How often the answer has what belongs to the fragment and lacks what does not."""
    before = _answers(retriever, [pair.before for pair in pairs])
    after = _answers(retriever, [pair.after for pair in pairs])
    found: dict[str, float] = {}
    for modality in ("utterances", "images"):
        right = {"before": 0, "after": 0}
        for pair in pairs:
            inside, outside = pair.places(modality)
            told = getattr(before[pair.before.id], modality)
            right["before"] += inside in told and outside not in told
            told = getattr(after[pair.after.id], modality)
            right["after"] += outside in told and inside not in told
        found |= {f"{modality}, {when}": n / max(1, len(pairs)) for when, n in right.items()}
    return found


def _answers(retriever: Retriever, requests: list[Request]) -> dict[str, Fragment]:
    answers = {}
    for retrieval in retriever.retrieve(requests):
        assert retrieval.failure is None, retrieval
        answers[retrieval.request] = parse_strict(retrieval.text or "") or Fragment()
    return answers


def _picture_only(made: MiniSet, seed: int, folder: Path) -> Iterator[tuple[Request, Chat]]:
    for chat in chats(made, seed):
        images = []
        for image, thing in zip(chat.dialogue.images, chat.things, strict=True):
            file = folder / image.path
            file.parent.mkdir(parents=True, exist_ok=True)
            draw(thing, Random(image.path)).save(file)
            images.append(replace(image, file=str(file)))
        for number, request in enumerate(chat.requests()):
            if "picture-only" in request.shares:
                named = replace(request, id=f"{chat.dialogue.id}:{number}")
                yield _with(named, images), chat


def _with(request: Request, images: list[Image]) -> Request:
    return replace(request, dialogue=replace(request.dialogue, images=tuple(images)))


def _exchange(request: Request, chat: Chat) -> Exchange | None:
    """A picture of the fragment and a foreign one in each other's place, if one stands beside words
    that say nothing."""
    assert request.gold is not None
    inside = min(request.gold.images)
    outside = next(
        (
            image
            for image, carrier in chat.dialogue.carrier.items()
            if image not in request.gold.images and chat.lines[carrier].kind == CAPTIONED
        ),
        None,
    )
    if outside is None:
        return None
    images = list(request.dialogue.images)
    first, second = images[inside].file, images[outside].file
    images[inside] = replace(images[inside], file=second)
    images[outside] = replace(images[outside], file=first)
    after = replace(_with(request, images), id=f"{request.id} exchanged")
    return Exchange(request, after, inside, outside)


def main() -> None:
    seed, decks = (int(value) for value in [*sys.argv[1:], *["1", "15"][len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        for name, value in measure("f2rvlm-nano-sft", seed, decks, Path(folder)).items():
            print(f"{name:20} {value:.4g}")


if __name__ == "__main__":
    main()
