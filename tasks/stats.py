"""What is in a dataset: turns, images, query and gold sizes, how scattered fragments are."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean, median

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
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, request: Request) -> None:
        dialogue, gold = request.dialogue, request.gold or Fragment()
        self.dialogues.add(dialogue.digest)
        self.nothing += not gold.size
        self.images_only += bool(gold.images and not gold.utterances)
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
    def requests(self) -> int:
        return len(self.values.get("turns", []))


def collect(requests: Iterable[Request]) -> Stats:
    stats = Stats()
    for request in requests:
        stats.add(request)
    return stats
