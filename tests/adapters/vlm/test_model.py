"""Answers: the same whatever the batch, capped, and each failure on its own request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from short_chats import fragment, picture, request
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Request, Retrieval

LoadVLM = Callable[..., VLM]
ANSWER = render_answer(fragment([0, 2], [1]))


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """Five chats of growing length, three of them with pictures."""
    a, b, c = (picture(tmp_path / f"{n}.png", n) for n in range(3))
    return [
        request("你好", id="0"),
        request("看猫", ("", [a, b]), id="1"),
        request("面馆", ("", [c]), "走丢的猫", query="面馆", id="2"),
        request("火车", "几点", "八点", "杭州", id="3"),
        request("蛋糕", ("", [a]), "六岁", ("", [c]), "周六", query="生日", id="4"),
    ]


def ask(vlm: VLM, requests: list[Request]) -> dict[str, Retrieval]:
    return {retrieval.request: retrieval for retrieval in vlm.retrieve(requests)}


def texts(vlm: VLM, requests: list[Request]) -> dict[str, str | None]:
    return {name: retrieval.text for name, retrieval in ask(vlm, requests).items()}


def errors(answers: dict[str, Retrieval]) -> dict[str, str]:
    failures = {name: got.failure for name, got in answers.items() if got.failure}
    return {name: f.message for name, f in failures.items() if f.kind == "error"}


def force(vlm: VLM, tokens: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The model reads every prompt, and whatever it makes of it, answers with these tokens."""
    original = vlm.model.generate

    def generate(*, input_ids: Tensor, max_new_tokens: int, **rest: Any) -> Tensor:
        original(input_ids=input_ids, max_new_tokens=1, **rest)
        answers = torch.tensor([tokens[:max_new_tokens]] * len(input_ids))
        return torch.cat([input_ids, answers], 1)

    monkeypatch.setattr(vlm.model, "generate", generate)


def test_answers_are_the_same_at_every_batch_size(
    checkpoint: Path, load_vlm: LoadVLM, example: list[Request], chats: list[Request]
) -> None:
    vlm = load_vlm(checkpoint, max_new_tokens=10)
    alone = ask(vlm, [*example, *chats])
    assert len({got.text for got in alone.values()}) > 6  # or equality would prove little
    assert errors(alone) == {}
    for size in (2, 4):
        vlm.batch_size = size
        together = ask(vlm, [*reversed(chats), *example])
        for name, one in alone.items():
            other = together[name]
            assert (other.text, other.failure) == (one.text, one.failure)
            assert other.prompt_tokens == one.prompt_tokens
            assert other.output_tokens == one.output_tokens


def end_is_narrowly_best(vlm: VLM) -> None:
    """Makes the model want to end with its padding token, by a margin that a penalty undoes."""
    end = vlm.tokenizer.pad_token_id

    def prefer(head: Any, args: Any, logits: Tensor) -> Tensor:
        logits = logits.clone()
        logits[..., end] = logits.amax(-1) * 1.1
        return logits

    vlm.base.lm_head.register_forward_hook(prefer)


def test_padding_is_no_repetition(spoilt: Path, load_vlm: LoadVLM, chats: list[Request]) -> None:
    set_generation(spoilt, repetition_penalty=5.0)
    vlm = load_vlm(spoilt)
    end_is_narrowly_best(vlm)
    assert set(texts(vlm, chats).values()) == {""}  # nothing is padded: all end at once
    vlm.batch_size = 2
    assert set(texts(vlm, chats).values()) == {""}


def test_every_request_is_answered_once_with_its_counts(
    checkpoint: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    vlm = load_vlm(checkpoint, batch_size=2)
    retrievals = list(vlm.retrieve(chats))
    assert sorted(one.request for one in retrievals) == ["0", "1", "2", "3", "4"]
    for got in retrievals:
        made = vlm.inputs.build(chats[int(got.request)])
        assert got.prompt_tokens == len(made.ids)
        assert got.seconds is not None
        assert got.seconds > 0
        assert got.details == {"images": len(made.images), "visual_tokens": sum(made.visual_tokens)}


def test_escaped_control_tokens_are_reported(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    (got,) = load_vlm(tiny_qwen2_vl).retrieve([request("说<|im_end|>再<|image_pad|>见<image>")])
    assert got.details["escaped_control_tokens"] == 2
    assert got.details["images"] == 0


def test_the_cap_grows_with_the_number_of_ids(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, max_new_tokens=None, exact=True)
    vlm.batch_size = 2
    force(vlm, vlm.tokenizer("猫")["input_ids"][:1] * 5000, monkeypatch)
    short, long = request("嗯", "好", id="short"), request(*["嗯"] * 40, id="long")
    answers = ask(vlm, [short, long])  # in one batch: each has its own cap all the same
    for one in (short, long):
        got = answers[one.id]
        longest = vlm.tokenizer(render_answer(one.dialogue.everything))["input_ids"]
        assert got.failure is not None
        assert got.failure.kind == "truncated"
        assert got.output_tokens is not None
        assert len(longest) < got.output_tokens < len(longest) + 100
    tokens = {name: got.output_tokens or 0 for name, got in answers.items()}
    assert tokens["long"] - tokens["short"] >= 38 * 2  # a digit and a comma at least for each id more


@pytest.mark.parametrize(("words", "truncated"), [(4, False), (5, True), (9, True)])
def test_truncated_answers_are_flagged_and_kept(
    tiny_qwen2_vl: Path,
    load_vlm: LoadVLM,
    monkeypatch: pytest.MonkeyPatch,
    words: int,
    truncated: bool,
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, max_new_tokens=5, exact=True)
    word, end = vlm.tokenizer.convert_tokens_to_ids(["0", "<|im_end|>"])
    force(vlm, [word] * words + [end, end], monkeypatch)
    (got,) = vlm.retrieve([request("你好")])
    assert got.text == "0" * min(words, 5)  # 4 words and the end are 5 tokens: just within the cap
    assert got.output_tokens == min(words, 5)
    assert (got.failure.kind if got.failure else None) == ("truncated" if truncated else None)


def test_the_tags_of_the_task_are_not_stripped_from_an_answer(
    tagged: Path, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = load_vlm(tagged, max_new_tokens=None, exact=True)
    tokens = vlm.tokenizer(ANSWER + "<|im_end|><|endoftext|>")["input_ids"]
    assert vlm.tokenizer.decode(tokens, skip_special_tokens=True) == "[0, 2];[1]"  # the trap
    force(vlm, tokens, monkeypatch)
    (got,) = vlm.retrieve([request("你好", "猫", "好")])
    assert (got.text, got.failure) == (ANSWER, None)


def test_a_prompt_that_does_not_fit_costs_only_its_request(
    checkpoint: Path, load_vlm: LoadVLM, chats: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = load_vlm(checkpoint, batch_size=4)
    before = texts(vlm, chats)
    lengths = {one.id: len(vlm.inputs.build(one).ids) for one in chats}
    longest = max(lengths, key=lambda name: lengths[name])
    positions = lengths[longest] + 3  # the answer may have 4 tokens
    text_config = vlm.base.config.get_text_config()
    monkeypatch.setattr(text_config, "max_position_embeddings", positions)
    answers = ask(vlm, chats)
    assert errors(answers).keys() == {longest}
    assert f"{lengths[longest]} tokens" in errors(answers)[longest]
    assert f"{positions} positions; take a smaller --max-new-tokens" in errors(answers)[longest]
    assert {name: got.text for name, got in answers.items()} == {**before, longest: None}


def test_an_unreadable_picture_costs_only_its_request(
    checkpoint: Path, load_vlm: LoadVLM, chats: list[Request], tmp_path: Path
) -> None:
    vlm = load_vlm(checkpoint, batch_size=4)
    before = texts(vlm, chats)
    broken = tmp_path / "坏图.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    answers = ask(vlm, [*chats, request("看", ("", [broken]), id="broken")])
    assert errors(answers).keys() == {"broken"}
    assert "坏图.png" in errors(answers)["broken"]
    assert {name: got.text for name, got in answers.items()} == {**before, "broken": None}


@pytest.mark.parametrize("culprit", ["0", "2", "3"])
def test_an_exception_is_isolated(
    tiny_qwen2_vl: Path,
    load_vlm: LoadVLM,
    chats: list[Request],
    monkeypatch: pytest.MonkeyPatch,
    culprit: str,
) -> None:
    vlm = load_vlm(tiny_qwen2_vl)
    before = texts(vlm, chats)
    vlm.batch_size = 5
    original = vlm.model.generate
    ids = vlm.inputs.build(chats[int(culprit)]).ids

    def generate(*, input_ids: Tensor, **rest: Any) -> Tensor:
        if any(row.tolist()[-len(ids) :] == ids for row in input_ids):
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20 GiB")
        return original(input_ids=input_ids, **rest)

    monkeypatch.setattr(vlm.model, "generate", generate)
    answers = ask(vlm, chats)
    message = errors(answers).pop(culprit)
    assert "CUDA out of memory" in message
    assert "\n" not in message
    assert {name: got.text for name, got in answers.items()} == {**before, culprit: None}


def set_generation(folder: Path, **values: Any) -> None:
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_the_repetition_penalty_is_kept_and_sampling_removed(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    plain = texts(load_vlm(spoilt, max_new_tokens=8), chats)
    set_generation(spoilt, repetition_penalty=5.0, temperature=1.7, top_k=50)
    vlm = load_vlm(spoilt, max_new_tokens=8)
    penalised = texts(vlm, chats)
    assert penalised != plain
    assert texts(vlm, chats) == penalised  # no sampling, though the checkpoint asks for it
    decoding = vlm.identity()["decoding"]
    sampling = {"do_sample": True, "temperature": 1.7, "top_k": 50, "top_p": 0.001}
    assert sampling.items() <= decoding["checkpoint"].items()
    assert decoding["checkpoint"]["repetition_penalty"] == 5.0
    applied = decoding["applied"]
    assert applied["repetition_penalty"] == 5.0
    assert applied.get("do_sample", False) is False
    assert not {"temperature", "top_k", "top_p"} & applied.keys()
    assert decoding["max_new_tokens"] == 8
    json.dumps(vlm.identity())  # it goes into run.json
