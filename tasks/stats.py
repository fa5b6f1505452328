"""What is in a dataset: turns, images, query and gold sizes, how scattered fragments are."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean, median

from f2rcli.tasks.overlap import shares_content_word
from f2rcli.tasks.scoring import SYNTHETIC
from f2rcli.tasks.types import Fragment, Request


def runs(ids: frozenset[int], order: list[int]) -> int:
    """Into how many uninterrupted stretches of the dialogue these ids fall."""
    inside = [i in ids for i in order]
    return sum(now and not before for before, now in zip([False, *inside], inside, strict=False))


@dataclass
class Stats:
    """Values a request, kept as lists: a dataset has some thousand."""

    dialogues: set[str] = field(default_factory=set)
    nothing: int = 0
    images_only: int = 0
    pictured_only: int = 0
    without_overlap: int = 0
    named: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, request: Request) -> None:
        dialogue, gold = request.dialogue, request.gold or Fragment()
        self.dialogues.add(dialogue.digest)
        self.nothing += not gold.size
        self.images_only += bool(gold.images and not gold.utterances)
        fragment = [u for u in dialogue.utterances if u.id in gold.utterances]
        self.pictured_only += bool(fragment) and all(u.images for u in fragment)
        said = [utterance.text for utterance in fragment]
        self.without_overlap += bool(gold.size) and not shares_content_word(request.query.text, said)
        self.named.update(request.shares)
        order = [utterance.id for utterance in dialogue.utterances]
        found: dict[str, float] = {
            "turns": len(order),
            "images": len(dialogue.images),
            "query characters": len(request.query.text),
            "gold utterances": len(gold.utterances),
            "gold images": len(gold.images),
        }
        if gold.utterances:
            found["gold stretches"] = runs(gold.utterances, order)
            found["gold share of turns, %"] = 100 * len(gold.utterances) / len(order)
        for name, value in found.items():
            self.values.setdefault(name, []).append(value)

    def rows(self) -> list[list[str]]:
        """One line a quantity: its name, mean, smallest, median and largest value."""
        return [
            [name, *(f"{f(values):.2f}" for f in (fmean, min, median, max))]
            for name, values in self.values.items()
        ]

    @property
    def synthetic(self) -> bool:
        return 0 < self.requests == self.named[SYNTHETIC]

    def shares(self) -> list[str]:
        """One line a share of the requests: what was measured, then what the data itself names."""
        measured = {
            "match nothing": self.nothing,
            "only images": self.images_only,
            "only utterances with pictures": self.pictured_only,
            "no content word shared with the fragment": self.without_overlap,
        }
        named = {f"named {share}": count for share, count in self.named.most_common()}
        return [
            f"{count / max(1, self.requests):6.1%}  {name} ({count})"
            for name, count in (measured | named).items()
        ]

    @property
    def requests(self) -> int:
        return len(self.values.get("turns", []))


def collect(requests: Iterable[Request]) -> Stats:
    stats = Stats()
    for request in requests:
        stats.add(request)
    return stats
