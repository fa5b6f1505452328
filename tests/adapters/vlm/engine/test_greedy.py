"""Drafted answers: those of token by token, whatever is drafted."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from scripted import assert_same, written
from short_chats import picture, request
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine.greedy import Answer, Draft, Row
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
END = "<|im_end|>"


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """Three chats of other lengths and pictures: their prompts are padded in a batch."""
    a, b = (picture(tmp_path / f"{n}.png", n) for n in range(2))
    return [
        request("看猫", ("", [a]), id="0"),
        request("面馆", ("", [b, a]), "走丢的猫", query="面馆", id="1"),
        request("火车", "几点", "八点", "杭州", "", "find the utterances", id="2"),
    ]


def drafting(vlm: VLM, drafts: dict[str, Draft], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vlm, "_draft", lambda asked: drafts[asked.id])


def half_right(known: Sequence[int]) -> Draft:
    """Drafts of up to three tokens of a known answer, and then of a wrong one, or two."""

    def draft(tokens: list[int]) -> list[int]:
        right = [*known[len(tokens) :]][: len(tokens) % 4]
        return [*right, *[(one + 1) % 100 for one in (tokens[-1], known[-1])][: 1 + len(tokens) % 2]]

    return draft


def calls(vlm: VLM) -> list[int]:
    """Of every call of the model from now on, its rows."""
    counted: list[int] = []

    def on_call(model: Any, args: Any, given: dict[str, Any]) -> None:
        counted.append(len(given["input_ids"]))

    vlm.base.register_forward_pre_hook(on_call, with_kwargs=True)
    return counted


def test_a_batch_gets_what_each_gets_alone_token_by_token(
    family: tuple[str, Path], load_vlm: LoadVLM, chats: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load_vlm(family[1], max_new_tokens=8, logprobs=True, exact=True)
    wanted = written(plain, chats)
    assert len({tuple(one.tokens) for one in wanted.values()}) > 1
    vlm = load_vlm(family[1], max_new_tokens=8, logprobs=True, batch_size=3)
    assert_same(written(vlm, chats), wanted)
    if not vlm.engine.drafts:
        assert family[0] == "gemma3"
        return
    drafting(vlm, {name: half_right(one.tokens) for name, one in wanted.items()}, monkeypatch)
    counted = calls(vlm)
    assert_same(written(vlm, chats), wanted)
    assert counted[:3] == [1, 1, 1]
    assert len(counted) < 3 + 7  # some of the drafts were right


def set_generation(folder: Path, **values: Any) -> None:
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def likes(vlm: VLM, token: int) -> None:
    """Makes the model want to say this by a margin that a penalty undoes."""

    def prefer(head: Any, args: Any, logits: Tensor) -> Tensor:
        logits = logits.clone()
        logits[..., token] = logits.amax(-1) * 1.1
        return logits

    vlm.base.get_output_embeddings().register_forward_hook(prefer)


@pytest.mark.parametrize(
    ("how", "liked"),
    [
        ({"repetition_penalty": 1.3}, "0"),
        ({"no_repeat_ngram_size": 2}, "0"),
        ({"min_new_tokens": 5}, END),
        ({"suppress_tokens": [15]}, None),
        ({"begin_suppress_tokens": [15]}, None),
        ({"repetition_penalty": 1.3, "min_new_tokens": 3, "no_repeat_ngram_size": 3}, END),
        ({"forced_eos_token_id": 20}, None),
    ],
    ids=lambda one: "+".join(one) if isinstance(one, dict) else "",
)
def test_penalties_are_those_of_transformers(
    spoilt: Path,
    load_vlm: LoadVLM,
    chats: list[Request],
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    liked: str | None,
) -> None:
    def loaded(**settings: Any) -> VLM:
        vlm = load_vlm(spoilt, max_new_tokens=8, logprobs=True, **settings)
        if "suppress_tokens" in "".join(how):
            likes(vlm, 15)
        elif liked:
            likes(vlm, vlm.tokenizer.convert_tokens_to_ids(liked))
        return vlm

    free = written(loaded(exact=True), chats)
    set_generation(spoilt, **how)
    wanted = written(loaded(exact=True), chats)
    assert any(wanted[name].tokens != one.tokens for name, one in free.items())
    vlm = loaded(batch_size=3)
    assert vlm.engine.drafts
    assert_same(written(vlm, chats), wanted)
    drafting(vlm, {name: half_right(one.tokens) for name, one in wanted.items()}, monkeypatch)
    assert_same(written(vlm, chats), wanted)


def test_the_cache_grows_with_a_long_answer(
    tagged: Path, load_vlm: LoadVLM, chats: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejected tokens fill the room that a cache has, several times over."""
    wanted = written(load_vlm(tagged, max_new_tokens=90, logprobs=True, exact=True), chats[:2])
    vlm = load_vlm(tagged, max_new_tokens=90, logprobs=True, batch_size=2)
    wrong = {name: lambda tokens: [(tokens[-1] + 1) % 100] * 7 for name in wanted}
    drafting(vlm, wrong, monkeypatch)
    assert_same(written(vlm, chats[:2]), wanted)


class Took:
    """`Row.take` of one row whose model would say 1 1 2 3 … at the places it is asked about."""

    def __init__(self, cap: int, ends: set[int]) -> None:
        self.answer = Answer(cap, tokens=[1])
        self.ends = ends
        self.row = Row(self.answer, torch.tensor([9]), None, torch.zeros(1, 1), [], ())  # type: ignore[arg-type]

    def take(self, draft: list[int], said: list[float]) -> int:
        logits = torch.zeros(len(said), 12)
        for place, token in enumerate(said):
            logits[place, int(token)] = torch.nan if token != int(token) else 1
        return self.row.take(draft, logits, self.ends, logprobs=False)


@pytest.mark.parametrize(
    ("draft", "said", "taken", "tokens"),
    [
        ([], [5], 1, [5]),
        ([5], [5, 6], 2, [5, 6]),  # all of the draft, and one more
        ([5, 6], [5, 7, 8], 2, [5, 7]),  # what is behind a wrong one was never asked
        ([5, 6], [4, 6, 7], 1, [4]),
        ([5, 6, 7, 8], [5, 6, 7, 8, 4], 4, [5, 6, 7, 8]),  # no more than there is room for
        ([5, 0, 7], [5, 0, 7, 8], 2, [5, 0]),  # 0 is an end
        ([], [5, 6, 7], 1, [5]),  # others of the batch have drafts: what stands behind is nothing
    ],
)
def test_a_draft_is_kept_as_far_as_it_is_right(
    draft: list[int], said: list[float], taken: int, tokens: list[int]
) -> None:
    one = Took(cap=5, ends={0})
    assert one.take(draft, said) == taken
    assert one.answer.tokens == [1, *tokens]
    assert one.answer.ended == (tokens[-1] == 0)
    assert one.answer.running == (len(tokens) < 4 and not one.answer.ended)


def test_what_is_no_number_breaks_an_answer_only_where_it_is_reached() -> None:
    one = Took(cap=9, ends={0})
    assert one.take([5, 6], [5, 7, 3.5]) == 2  # behind a rejected token
    assert not one.answer.broken
    assert one.take([5, 6], [5, 3.5, 7]) == 1
    assert (one.answer.broken, one.answer.running) == (True, False)
    assert one.answer.tokens == [1, 5, 7, 5]
    assert one.take([], [5]) == 0  # it is not gone on with


@pytest.mark.parametrize(
    ("cap", "proposed"), [(1, []), (2, []), (3, [5]), (5, [5, 6, 7]), (9, [5, 6, 7, 8])]
)
def test_a_draft_leaves_room_for_a_token_of_the_models_own(cap: int, proposed: list[int]) -> None:
    assert Answer(cap, lambda tokens: [5, 6, 7, 8], tokens=[1]).proposed() == proposed
