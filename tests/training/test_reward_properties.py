"""Rewards: the release's values on the golden lines, and what holds for any completion."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import EMPTY, answer
from rewarding import VECTORS, asked, one

from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.similarity import Vectors
from f2rcli.tasks.types import Dialogue, Image, Request
from f2rcli.training.reward_formulas import Lists
from f2rcli.training.rewards import REWARDS

GOLDEN_NAMES = {
    "f1": "f1",
    "mcc": "mcc",
    "exact_match": "accuracy",
    "order_similarity_published": "order_similarity_published",
    "format": "format_paper",
}


def of_golden(row: dict[str, Any]) -> tuple[Request, Vectors]:
    """The row's request, each utterance's text replaced by its id, so that it has its own vector."""
    texts, pictures = (
        {str(i): np.array(vector) for i, vector in enumerate(row[f"{kind}_embeddings"])}
        for kind in ("utterance", "image")
    )
    made = {"messages": row["messages"], "solution": row["solution"], "images": list(pictures)}
    (request,) = parse_record(made).requests
    said = tuple(replace(u, text=str(u.id)) for u in request.dialogue.utterances)
    images = tuple(Image(int(path), path) for path in pictures)
    return replace(request, dialogue=Dialogue("", said, images)), Vectors("", "", texts, pictures)


def test_the_golden_values(golden: Path) -> None:
    text = (golden / "rewards/rewards.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) == 160
    for row in rows:
        request, vectors = of_golden(row)
        values = {name: REWARDS[name]([row["completion"]], request, vectors) for name in GOLDEN_NAMES}
        theirs = {name: [row["expected"][key]] for name, key in GOLDEN_NAMES.items()}
        assert values == {name: pytest.approx(value, abs=1e-12) for name, value in theirs.items()}


IDS = st.lists(st.integers(0, 8), max_size=5)
COMPLETIONS = st.builds(answer, IDS, IDS) | st.sampled_from(
    ["", "无", EMPTY + "。", EMPTY.replace("[]", "[0 1, 2]", 1), EMPTY.replace("[]", "[,2,,3]", 1)]
)
BATCHES = st.lists(COMPLETIONS, max_size=6)
GOLDS = st.builds(
    asked, st.lists(st.integers(0, 6), unique=True), st.lists(st.integers(0, 2), unique=True)
)


@given(BATCHES, GOLDS, st.randoms())
def test_a_value_is_its_completions_own_and_within_bounds(
    batch: list[str], request: Request, random: Any
) -> None:
    order = random.sample(range(len(batch)), len(batch))
    for name, reward in REWARDS.items():
        values = reward(batch, request, VECTORS)
        assert reward([batch[i] for i in order], request, VECTORS) == [values[i] for i in order]
        low = 0 if name in ("f1", "format", "exact_match") else -1
        assert all(low - 1e-6 <= value <= 1 + 1e-6 for value in values)


@given(COMPLETIONS, GOLDS)
def test_what_rewards_say_of_each_other(completion: str, request: Request) -> None:
    values = {name: one(name, completion, request) for name in REWARDS}
    if values["format"] or values["f1"] or values["exact_match"]:
        assert completion.startswith("<|utt_ids_start|>[")
        assert completion.endswith("]<|img_ids_end|>")
    if values["exact_match"]:
        assert values["f1"] == values["format"] == 1
    if values["f1"] == 1:
        assert parse_strict(completion) == request.gold


@given(COMPLETIONS, GOLDS)
def test_the_mended_variant_differs_only_where_a_modality_is_missing(
    completion: str, request: Request
) -> None:
    mended, published = (
        one(name, completion, request) for name in ("order_similarity", "order_similarity_published")
    )
    known = Lists.of(completion).fragment & request.dialogue.everything
    if known.utterances and known.images:
        assert mended == published
    elif mended != published:
        assert published == 0
        assert known.size
