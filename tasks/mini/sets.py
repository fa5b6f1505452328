"""The mini sets as files: official records in JSON Lines, and the pictures beside them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from f2rcli.tasks.mini.chats import Chat, Domain, make_chat
from f2rcli.tasks.mini.pictures import draw
from f2rcli.tasks.mini.queries import DECK
from f2rcli.tasks.mini.words import LANGUAGES, topics
from f2rcli.tasks.records import record_of


@dataclass(frozen=True, slots=True)
class MiniSet:
    """`decks` of eight dialogues and twenty queries each."""

    name: str
    domain: Domain
    decks: int

    @property
    def requests(self) -> int:
        return self.decks * sum(map(len, DECK))


SETS = {
    made.name: made
    for made in (
        MiniSet("mini-mldr", "mldr", 15),
        MiniSet("mini-wechat", "wechat", 10),
        MiniSet("mini-mldr-train", "mldr", 1050),
        MiniSet("mini-mldr-grpo", "mldr", 100),
    )
}


def chats(made: MiniSet, seed: int) -> Iterator[Chat]:
    """The set's chats. Each has a random stream of its own, named by set, seed and number."""
    for deck in range(made.decks):
        order = Random(f"{made.name} {seed} deck {deck}")
        rows = order.sample(DECK, len(DECK))
        for place, kinds in enumerate(rows):
            number = deck * len(DECK) + place
            rng = Random(f"{made.name} {seed} {number}")
            language = LANGUAGES[(number + deck) % len(LANGUAGES)]
            pool = [t for t in topics(language) if made.domain == "wechat" or not t.unseen]
            asks = [i for i, kind in enumerate(kinds) if kind != "nothing"]
            strange = rng.choice(asks) if made.domain == "wechat" and place % 2 else None
            yield make_chat(
                rng,
                made.domain,
                pool,
                kinds,
                name=f"{made.name}-{seed}-{number:05}",
                unseen=[i == strange for i in range(len(kinds))],
            )


def write(made: MiniSet, seed: int, folder: Path) -> str:
    """Writes `folder/NAME.jsonl` and `folder/images/`; returns the digest of records and pixels.

    The digest is over decoded pixels: how a PNG is packed depends on the machine's zlib.
    """
    digest = hashlib.sha256()
    with (folder / f"{made.name}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for chat in chats(made, seed):
            (folder / "images" / chat.dialogue.id).mkdir(parents=True)
            for image, thing in zip(chat.dialogue.images, chat.things, strict=True):
                picture = draw(thing, Random(image.path))
                picture.save(folder / image.path)
                digest.update(picture.tobytes())
            for request in chat.requests():
                line = json.dumps(record_of(request), ensure_ascii=False)
                digest.update(line.encode())
                file.write(line + "\n")
    return digest.hexdigest()
