"""Mini sets of eight dialogues and twenty queries, for tests of what is done with any mini set."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from f2rcli.tasks.mini.cache import SEED
from f2rcli.tasks.mini.sets import SETS, write

SMALL = {name: replace(made, decks=1) for name, made in SETS.items()}
REQUESTS = 20


@cache
def digest(name: str) -> str:
    """What digests.toml would say, were the sets so small."""
    with tempfile.TemporaryDirectory() as folder:
        return write(SMALL[name], SEED, Path(folder))
