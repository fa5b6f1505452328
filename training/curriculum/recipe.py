"""The recipe of a curriculum."""

from dataclasses import dataclass
from typing import Literal

from f2rcli.training.recipe import Count, Precision, Text, Whole


@dataclass(frozen=True, slots=True)
class CurriculumRecipe:
    """Which model answers which data, and how.

    With `requests`, only so many of the data are asked and ordered: a subsample by `seed`, which nothing
    else depends on (answers are greedy). `batch_size` is how many are generated at once, and changes no
    answer by intention.
    """

    name: str
    stage: Literal["curriculum"]
    base: Text
    data: Text
    precision: Precision
    batch_size: Count
    max_pixels: Count
    adapter: Text | None = None
    requests: Count | None = None
    seed: Whole | None = None

    def complaint(self) -> str | None:
        if (self.requests is None) != (self.seed is None):
            return "requests and seed go together"
        return None
