"""Runs of small retrievers for tests of tables: with a seed, with many dialogues."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
from handmade import Scripted, evaluated

from f2rcli.adapters.registry import ModelRow
from f2rcli.results.runs import RunFolder
from f2rcli.tasks.types import Failure, Request

GOLD = {"露营:0": ([2, 3, 4], [0]), "露营:1": ([7], [1]), "露营:2": ([], [])}
RIGHT = {request: handmade.answer(*ids) for request, ids in GOLD.items()}


class Drawn(Scripted):
    """A model that draws with a seed, as run.json says."""

    def identity(self) -> dict[str, Any]:
        return {"config": self.config, "seed": vars(self)["seed"]}


def row(name: str, trained: str = "own") -> ModelRow:
    return ModelRow(name, "python", trained, "", {"file": __file__, "class": "X"})


def right(request: Request) -> str | Failure:
    return RIGHT[request.id]


def seeds(chats: Path, out: Path, *texts: str, name: str = "抽签") -> list[RunFolder]:
    """One run a text, which differ in the seed and in nothing else."""
    return [
        evaluated(Drawn(lambda _, text=text: text, seed=seed), chats, out, row=row(name))
        for seed, text in enumerate(texts)
    ]


def many(folder: Path, dialogues: int, **more: Any) -> Path:
    """A task of so many dialogues of twelve turns, with one query each: turns 2, 3 and 4 are gold."""
    queries = {"帐篷在哪里": [2, 3, 4]}
    chats = [handmade.chat(f"对话{n}", queries=queries) | more for n in range(dialogues)]
    return handmade.write_chats(folder, *chats)


def says(text: str | Callable[[Request], str | Failure]) -> Scripted:
    return Scripted(text if callable(text) else lambda _: text)
