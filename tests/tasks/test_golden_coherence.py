"""Coherence and the release's order similarity: the same formula, apart from the reward's corners."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from f2rcli.tasks.answers import parse_published, parse_strict
from f2rcli.tasks.similarity import coherence, elements
from f2rcli.tasks.tags import parse_content
from f2rcli.tasks.types import Dialogue, Fragment, Image


def corner(known: Fragment, predicted: Fragment, gold: Fragment) -> float | None:
    """What the reward is where it is not the formula."""
    if not predicted.size and not gold.size:
        return 1.0
    if not predicted.size or not gold.size:
        return 0.0
    return None if known.utterances and known.images else 0.0


def dialogue_of(row: dict[str, Any]) -> Dialogue:
    utterances = parse_content(row["messages"][1]["content"]).utterances
    images = (Image(i, f"{i}.png") for i in range(len(row["image_embeddings"])))
    return Dialogue("", utterances, tuple(images))


def test_the_values_are_the_releases_where_no_corner_is_touched(golden: Path) -> None:
    text = (golden / "rewards/rewards.jsonl").read_text(encoding="utf-8")
    met: Counter[float | None] = Counter()
    for row in map(json.loads, text.splitlines()):
        dialogue = dialogue_of(row)
        gold, _ = parse_published(row["solution"])
        predicted = parse_strict(row["completion"]) or Fragment()
        if "<think>" in row["completion"] or "<answer>" in row["completion"]:
            predicted = Fragment()  # the reward wants nothing around the answer
        theirs = row["expected"]["order_similarity_published"]
        special = corner(predicted & dialogue.everything, predicted, gold)
        met[special] += 1
        if special is None:
            utterances, images = (
                {i: np.array(vector) for i, vector in enumerate(row[f"{kind}_embeddings"])}
                for kind in ("utterance", "image")
            )
            found = elements(dialogue, predicted, utterances, images)
            assert coherence(found) == pytest.approx(theirs, abs=1e-9)
        else:
            assert theirs == special
    assert met[None] == 70


def test_texts_alone_are_measured_though_they_are_never_rewarded() -> None:
    assert coherence([np.array([1.0, 0.0]), np.array([0.6, 0.8])]) == pytest.approx(0.6)
