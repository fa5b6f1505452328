"""The words of the task: fragments, dialogues, requests."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.tasks.types import Dialogue, Fragment, Image, Prompt, Query, Request, Utterance, digest

CHAT = Dialogue(
    "周末",
    (
        Utterance(3, "小林", "看 🐱", (0, 1)),
        Utterance(4, "阿梅", "可爱"),
        Utterance(7, "小林", "", (2,)),
    ),
    (Image(0, "a.jpg"), Image(1, "b.jpg"), Image(2, "a.jpg")),
)
PROMPT = Prompt("系统", "头", (("看 ", 0, 1, "\n"), ("可爱\n",), (2, "\n")), "尾")
REQUEST = Request("周末:0", CHAT, Query("小猫"), PROMPT, Fragment(frozenset({3}), frozenset({0})))
FRAGMENTS = st.builds(Fragment, st.frozensets(st.integers(0, 9)), st.frozensets(st.integers(0, 9)))


def test_digest_is_of_the_compact_json_whatever_the_order_of_keys() -> None:
    assert digest({"b": 2, "a": [1]}) == sha256(b'{"a":[1],"b":2}').hexdigest()


@given(FRAGMENTS, FRAGMENTS)
def test_fragments_behave_as_pairs_of_sets(one: Fragment, other: Fragment) -> None:
    both = one | other
    assert both.utterances == one.utterances | other.utterances
    assert both.images == one.images | other.images
    assert (both - other) | (one & other) == one
    assert both.size == (one - other).size + (other - one).size + (one & other).size


def test_an_empty_fragment_is_an_answer_and_not_falsy() -> None:
    assert Fragment()
    assert Fragment().size == 0


def test_a_dialogue_knows_its_ids_and_who_carries_what() -> None:
    assert CHAT.everything == Fragment(frozenset({3, 4, 7}), frozenset({0, 1, 2}))
    assert CHAT.carrier == {0: 3, 1: 3, 2: 7}


def test_a_dialogue_is_the_same_under_another_name_and_with_its_pictures_found() -> None:
    found = tuple(replace(image, file=f"somewhere/{image.path}") for image in CHAT.images)
    assert Dialogue("x", CHAT.utterances, found).digest == CHAT.digest


@pytest.mark.parametrize(
    "other",
    [
        replace(CHAT, utterances=CHAT.utterances[:2]),
        replace(CHAT, utterances=(replace(CHAT.utterances[0], text="看"), *CHAT.utterances[1:])),
        replace(CHAT, utterances=(replace(CHAT.utterances[0], speaker="阿梅"), *CHAT.utterances[1:])),
        replace(CHAT, utterances=(replace(CHAT.utterances[0], images=(1, 0)), *CHAT.utterances[1:])),
        replace(CHAT, images=(*CHAT.images[:2], Image(2, "c.jpg"))),
    ],
)
def test_other_turns_or_pictures_make_another_dialogue(other: Dialogue) -> None:
    assert other.digest != CHAT.digest


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, query=Query("小狗")),
        replace(REQUEST, gold=None),
        replace(REQUEST, gold=Fragment(frozenset({3}))),
        replace(REQUEST, dialogue=replace(CHAT, images=CHAT.images[:2])),
    ],
)
def test_a_request_is_another_with_other_content(other: Request) -> None:
    assert other.digest != REQUEST.digest


def test_a_request_is_the_same_wherever_it_was_read() -> None:
    assert replace(REQUEST, id="x", where="b.json:9").digest == REQUEST.digest


@pytest.mark.parametrize(
    "other", [replace(PROMPT, system=None), replace(PROMPT, head="首"), replace(PROMPT, turns=())]
)
def test_the_prompt_has_a_digest_of_its_own(other: Prompt) -> None:
    changed = replace(REQUEST, prompt=other)
    assert changed.prompt_digest != REQUEST.prompt_digest
    assert changed.digest == REQUEST.digest


def test_a_retriever_does_not_see_the_gold() -> None:
    assert REQUEST.without_gold() == replace(REQUEST, gold=None)


def test_prompt_parts_come_in_reading_order() -> None:
    assert list(PROMPT.parts()) == ["头看 ", 0, "", 1, "\n可爱\n", 2, "\n尾"]
    assert list(Prompt(None, "头", ()).parts()) == ["头"]


def test_a_prompt_is_the_same_however_its_text_is_cut() -> None:
    cut = Prompt("系统", "头看", ((" ", 0, 1), ("\n可", "爱\n", 2), ("\n",)), "尾")
    assert replace(REQUEST, prompt=cut).prompt_digest == REQUEST.prompt_digest
