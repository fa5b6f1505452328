"""Scores by how long a dialogue is: a fragment is harder to find in more turns."""

import sys
from collections.abc import Iterable

from f2rcli.tasks.predictions import Prediction
from f2rcli.tasks.scoring import Protocol, Scorer

# Turns of a dialogue, by what a table calls them.
LENGTHS = {"<35": range(35), "35–65": range(35, 66), ">65": range(66, sys.maxsize)}


def length_of(prediction: Prediction) -> str:
    """The key of `LENGTHS` that a prediction's dialogue falls under, by its number of utterances."""
    turns = len(prediction.universe.utterances)
    return next(name for name, lengths in LENGTHS.items() if turns in lengths)


def by_length(predictions: Iterable[Prediction], protocol: Protocol) -> dict[str, Scorer]:
    """One protocol's scores for every key of `LENGTHS`, in that order; some may have no samples."""
    scorers = {name: Scorer(protocol) for name in LENGTHS}
    for prediction in predictions:
        scorers[length_of(prediction)].add(prediction)
    return scorers
