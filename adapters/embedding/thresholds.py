"""Choosing the thresholds of an embedding retriever: the best there are, by trying every one."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from f2rcli.tasks.curves import Candidates, Similarities, Thresholds, divided, margins
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request

SEARCHED = "every pair of similarities of an utterance and of an image to their query"
SEARCHED_ALIKE = "every similarity of an utterance to its query"


class Chosen(NamedTuple):
    """Thresholds, and the strict joint micro F1 that they reach on what they were chosen on."""

    thresholds: Thresholds
    f1: float


def choose_thresholds(found: Iterable[tuple[Request, Similarities]], *, alike: bool = False) -> Chosen:
    """The pair with the best strict joint F1; of equals the highest for images, then for utterances.

    An utterance of nothing but pictures goes with its pictures, so that the two are not independent:
    all pairs are tried. `alike`: images go with their utterances, and one threshold is for both.
    Raises InputError where there is nothing to choose between.
    """
    texts, pictured, images = Candidates(), Candidates(), Candidates()
    for request, similarities in found:
        gold = request.gold
        assert gold is not None  # Task.requests raises for a record without one
        plain = margins(request.dialogue, similarities, Thresholds())
        values = zip(request.dialogue.utterances, similarities.utterances, strict=True)
        own = {u.id: plain.utterances[u.id] for u, value in values if value is not None}
        rest = {i: value for i, value in plain.utterances.items() if i not in own}
        texts.add(own, gold.utterances)
        pictured.add(rest, frozenset())
        pictured.hits += [value for i, value in rest.items() if i in gold.utterances]
        images.add(plain.images, gold.images)
    for candidates, what in ((texts, "texts"), (images, "pictures")):
        if not candidates.values and not (alike and candidates is images):
            raise InputError(f"there are no {what}, so no threshold for them can be chosen")
    levels = texts.distinct()[::-1]
    taken, right = texts.at(levels)
    if alike:
        f1 = (texts.rates(levels)["f1"] + images.rates(levels)["f1"]) / 2
        place = int(np.argmax(f1))
        level = float(levels[place])
        return Chosen(Thresholds(level, level), float(f1[place]))
    image_levels = images.distinct()[::-1]
    along, along_right = pictured.at(image_levels)
    best = Chosen(Thresholds(float(levels[0]), float(image_levels[0])), -1.0)
    for i, image_f1 in enumerate(images.rates(image_levels)["f1"]):
        both_taken = taken + along[i] + texts.gold
        f1 = (divided(2 * (right + along_right[i]), both_taken) + image_f1) / 2
        place = int(np.argmax(f1))
        if f1[place] > best.f1:
            thresholds = Thresholds(float(levels[place]), float(image_levels[i]))
            best = Chosen(thresholds, float(f1[place]))
    return best
