"""Both protocols on lines whose counts can be told by hand."""

import math
import tracemalloc
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import EMPTY, answer, line

from f2rcli.tasks.metrics import Counts
from f2rcli.tasks.predictions import Prediction, parse_prediction
from f2rcli.tasks.scoring import (
    JUDGES,
    MODALITIES,
    PROTOCOLS,
    Protocol,
    Scorer,
    Verdict,
    published_universe,
    score,
)
from f2rcli.tasks.types import Fragment

FOUR = ("user1: 你好", "user2: 看 🖼", "user1: 可爱🐱", "user2: 是")  # utterances 0..3, image 0
TALK = ("user1: 你好", "user2: 嗯", "user1: 再见")  # no image
IDS = st.lists(st.integers(0, 5), max_size=4)
ANSWERS = st.builds(answer, IDS, IDS) | st.sampled_from(
    ["", "无", answer([1]) + "。", answer([1], [40])]
)


def judge(protocol: Protocol, *turns: str, **keys: Any) -> Verdict:
    return JUDGES[protocol](parse_prediction(line(*turns, **keys), "0"))


def result(protocol: Protocol, *lines: dict[str, Any], average: Any = "micro") -> dict[str, Any]:
    return score(parse_prediction(made, "0") for made in lines)[protocol].result(average)


def values(precision: float, recall: float, f1: float, mcc: float) -> dict[str, Any]:
    return pytest.approx({"precision": precision, "recall": recall, "f1": f1, "mcc": mcc}, abs=1e-15)


def fragment(utterances: Collection[int] = (), images: Collection[int] = ()) -> Fragment:
    return Fragment(frozenset(utterances), frozenset(images))


HALF = line(*FOUR, response=answer([1], []), labels=answer([1, 2], [0]))
# utterances: TP 1 (1), FN 1 (2), TN 2 (0, 3); image: FN 1
MCC = (1 * 2 - 0 * 1) / math.sqrt(1 * 2 * 2 * 3)
BAD = ("malformed",)
MALFORMED = (Fragment(), BAD)
NONE = {"error": 0, "refused": 0, "truncated": 0, "malformed": 0}


@pytest.mark.parametrize(
    ("protocol", "joint"),
    [
        ("published", (0, 0, 1 / 3, MCC / 2)),  # harmonic means of (1, 0) and of (0.5, 0)
        ("strict", (1 / 2, 1 / 4, 1 / 3, MCC / 2)),
    ],
)
def test_one_sample_by_hand(protocol: Protocol, joint: tuple[float, ...]) -> None:
    found = result(protocol, HALF)
    assert found["utterance"] == values(1, 1 / 2, 2 / 3, MCC)
    assert found["image"] == values(0, 0, 0, 0)
    assert found["joint"] == values(*joint)
    assert (found["protocol"], found["average"], found["samples"]) == (protocol, "micro", 1)
    assert (found["coverage"], found["failures"], found["out_of_range_ids"]) == (1.0, NONE, 0)
    assert (found["relevance"], found["coherence"]) == (None, None)
    assert "answered" not in found


def test_micro_sums_and_macro_averages() -> None:
    good = line(*FOUR, response=answer([1], [0]), labels=answer([1], [0]))
    # utterances: (TP 1, FN 1) + (TP 1) → P 1, R 2/3, F1 2·1·⅔ / (5/3) = 4/5; macro F1 (2/3 + 1) / 2
    assert result("strict", HALF, good)["utterance"]["f1"] == pytest.approx(4 / 5)
    macro = result("strict", HALF, good, average="macro")
    assert macro["utterance"]["f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert macro["image"]["f1"] == (0 + 1) / 2
    assert macro["joint"]["f1"] == pytest.approx((1 / 3 + 1) / 2)
    assert macro["average"] == "macro"


def test_a_perfect_file() -> None:
    found = result("strict", line(*FOUR, response=answer([1], []), labels=answer([1], [])))
    assert found["utterance"] == values(1, 1, 1, 1)
    assert found["image"] == values(0, 0, 0, 0)  # micro: no image in gold, none predicted
    assert result("strict", line(*FOUR), average="macro")["joint"]["f1"] == 1


@pytest.mark.parametrize(("largest", "size"), [(None, 21), (0, 1), (7, 8)])
def test_the_published_universe(largest: int | None, size: int) -> None:
    assert published_universe(largest) == range(size)


@pytest.mark.parametrize(
    ("predicted", "counts"),
    [((), Counts(tn=21)), ((3,), Counts(fp=1, tn=20)), ((30,), Counts(fp=1, tn=21))],
)
def test_published_gives_a_dialogue_without_images_21_of_them(
    predicted: tuple[int, ...], counts: Counts
) -> None:
    verdict = judge("published", *TALK, response=answer([], predicted))
    assert verdict.counts("images") == counts
    assert verdict.counts("utterances") == Counts(tn=3)


@pytest.mark.parametrize(("predicted", "counts"), [((), Counts()), ((3,), Counts(fp=1))])
def test_strict_gives_it_none(predicted: tuple[int, ...], counts: Counts) -> None:
    verdict = judge("strict", *TALK, response=answer([], predicted))
    assert verdict.counts("images") == counts
    assert verdict.out_of_range.size == len(predicted)


def test_strict_macro_leaves_out_images_where_there_are_none() -> None:
    talk = line(*TALK, response=answer([1]), labels=answer([1, 2]))  # utterance F1 2/3
    both = result("strict", HALF, talk, average="macro")
    assert both["image"]["f1"] == 0  # of the first alone
    assert both["joint"]["f1"] == pytest.approx(((2 / 3 + 0) / 2 + 2 / 3) / 2)
    made_up = line(*TALK, response=answer([1], [0]), labels=answer([1]))
    assert result("strict", made_up, average="macro")["joint"]["f1"] == (1 + 0) / 2


def test_ids_out_of_range_are_false_positives_and_counted() -> None:
    made = line(*FOUR, response=answer([1, 50, 51], [0, 9]), labels=answer([1], [0]))
    for protocol in PROTOCOLS:
        found = result(protocol, made)
        assert found["utterance"]["precision"] == pytest.approx(1 / 3)
        assert found["image"]["precision"] == 1 / 2
        assert found["out_of_range_ids"] == 3
    assert result("published", made, average="macro")["utterance"]["mcc"] == 1  # where they are ignored


@pytest.mark.parametrize(
    ("response", "published", "strict"),
    [
        (EMPTY, (Fragment(), ()), (Fragment(), ())),
        ("<think>嗯</think>" + answer([1]), (fragment([1]), ()), (fragment([1]), ())),
        ("好：" + answer([1], [0]), (fragment([1], [0]), ()), MALFORMED),
        ("", MALFORMED, MALFORMED),
        (answer([1], [0]).replace("[0]", "[1.0]"), (fragment([1]), BAD), MALFORMED),
        (answer([1], [0]).replace("[1]", "[true]"), (fragment([], [0]), BAD), MALFORMED),
        (answer([1], [0]).replace("[1]", "[1 2]"), (fragment([], [0]), BAD), MALFORMED),
        (
            answer([1], [0]).replace("[1]", "[1,,2,]"),
            (fragment([], [0]), BAD),
            (fragment([1, 2], [0]), ()),
        ),
    ],
)
def test_what_each_protocol_makes_of_an_answer(response: str, published: Any, strict: Any) -> None:
    for protocol, expected in zip(PROTOCOLS, (published, strict), strict=True):
        verdict = judge(protocol, *FOUR, response=response)
        assert (verdict.predicted, verdict.failures) == expected
        assert verdict.answered


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["error", "refused"])
def test_what_was_not_answered_counts_and_lowers_the_coverage(kind: str, protocol: Protocol) -> None:
    half = answer([1])  # whatever came before the failure is no answer
    failed = line(*FOUR, response=half, labels=answer([1]), f2r={"failures": {kind: "服务器没有回答"}})
    good = line(*FOUR, response=answer([1]), labels=answer([1]))
    found = result(protocol, good, failed)
    assert found["failures"] == NONE | {kind: 1}  # and not malformed too
    assert (found["samples"], found["coverage"]) == (2, 0.5)
    assert found["utterance"]["recall"] == 1 / 2
    assert found["answered"]["utterance"]["recall"] == 1
    assert result(protocol, failed)["coverage"] == 0


def test_a_truncated_answer_is_scored_and_counted() -> None:
    f2r = {"failures": {"truncated": "cap"}}
    whole = line(*FOUR, response=answer([1]), labels=answer([1]), f2r=f2r)
    cut = line(*FOUR, response=answer([1])[:20], labels=answer([1]), f2r=f2r)
    found = result("strict", whole, cut)
    assert found["failures"] == NONE | {"truncated": 2, "malformed": 1}
    assert found["coverage"] == 1
    assert found["utterance"]["recall"] == 1 / 2


def test_strict_judges_a_dialogues_slices_one_by_one() -> None:
    slices = [
        {"response": answer([0], []), "images": []},
        {"response": "第3句", "images": [0]},
        {"response": "没有", "images": []},  # a second one does not count again
        {"response": answer([3], [0, 1]), "images": [0]},  # image 1 is none of this slice's
    ]
    made = line(*FOUR, response=answer([0, 3], [0]), labels=answer([3], [0]), f2r={"slices": slices})
    verdict = JUDGES["strict"](parse_prediction(made, "0"))
    assert verdict.predicted == fragment([0, 3], [0, 2])
    assert (verdict.failures, verdict.out_of_range.size) == (("malformed",), 1)
    published = JUDGES["published"](parse_prediction(made, "0"))
    assert (published.predicted, published.failures) == (
        fragment([0, 3], [0]),
        ("malformed",),
    )


def test_no_samples_score_nothing() -> None:
    for average in ("micro", "macro"):
        found = result("strict", average=average)
        assert (found["samples"], found["coverage"]) == (0, 0.0)
        assert found["joint"] == values(0, 0, 0, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    st.lists(st.tuples(st.sampled_from([FOUR, TALK]), ANSWERS, st.builds(answer, IDS, IDS)), max_size=5)
)
def test_micro_counts_never_exceed_the_ids(protocol: Protocol, samples: list[Any]) -> None:
    scorer = Scorer(protocol)
    total = dict.fromkeys(MODALITIES, 0)
    for turns, response, labels in samples:
        prediction: Prediction = parse_prediction(line(*turns, response=response, labels=labels), "0")
        verdict = scorer.add(prediction)
        for modality in MODALITIES:
            sides = (verdict.predicted, verdict.gold, verdict.universe)
            total[modality] += len(frozenset().union(*(getattr(side, modality) for side in sides)))
    for modality, counts in scorer.answered.micro.items():
        assert counts.tp + counts.fp + counts.fn + counts.tn == total[modality]


def test_a_large_typed_id_costs_no_memory() -> None:
    typed = "user1: 看 <|utt_id_start|>1000000<|utt_id_end|>"
    tracemalloc.start()
    try:
        verdict = judge("published", typed, response=answer([0]), labels=answer([0]))
        assert verdict.counts("utterances") == Counts(tp=1, tn=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
