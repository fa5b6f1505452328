"""Token log-probabilities: the model's own, whatever the batch, up to the answer's own end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from short_chats import picture, request
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine.greedy import Answer
from f2rcli.tasks.types import Request, Retrieval

LoadVLM = Callable[..., VLM]
END = "<|im_end|>"


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """A short chat and a longer one, each with pictures; a batch of both is padded."""
    a, b = (picture(tmp_path / f"{n}.png", n) for n in range(2))
    return [
        request("看猫", ("", [a]), id="短"),
        request("面馆", ("", [b, a]), "走丢的猫", query="面馆", id="长"),
    ]


def ask(vlm: VLM, requests: list[Request]) -> dict[str, Retrieval]:
    return {got.request: got for got in vlm.retrieve(requests)}


def logprobs(got: Retrieval) -> list[float]:
    assert got.logprobs is not None, got.failure
    return [token["logprob"] for token in got.logprobs]


def written(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    """Every answer that is written from now on."""
    kept: list[Answer] = []
    original = vlm.engine.write

    def write(batch: Any, answers: list[Answer]) -> Any:
        kept.extend(answers)
        return original(batch, answers)

    monkeypatch.setattr(vlm.engine, "write", write)
    return kept


def plain(vlm: VLM, asked: Request, tokens: list[int]) -> list[float]:
    """One forward over prompt and answer, without generation, cache or padding."""
    answer = torch.tensor(tokens)
    inputs = vlm.inputs.collate([vlm.inputs.build(asked)])
    length = inputs["input_ids"].shape[1]
    for name, filler in (("input_ids", answer), ("attention_mask", torch.ones_like(answer))):
        inputs[name] = torch.cat([inputs[name], filler[None]], 1)
    if "mm_token_type_ids" in inputs:
        types = inputs["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = torch.cat([types, torch.zeros_like(answer)[None]], 1)
    with torch.no_grad():
        logits = vlm.base(**inputs).logits[0, length - 1 : -1].float()
    return [float(row.log_softmax(-1)[token]) for row, token in zip(logits, answer, strict=True)]


@pytest.mark.parametrize("exact", [False, True])
def test_they_are_those_of_a_plain_forward_alone_and_in_a_batch(
    checkpoint: Path,
    load_vlm: LoadVLM,
    chats: list[Request],
    monkeypatch: pytest.MonkeyPatch,
    exact: bool,
) -> None:
    vlm = load_vlm(checkpoint, max_new_tokens=6, batch_size=1, logprobs=True, exact=exact)
    answers = written(vlm, monkeypatch)
    alone = ask(vlm, chats)
    order = [request for name in alone for request in chats if request.id == name]
    wanted = {one.id: plain(vlm, one, a.tokens) for one, a in zip(order, answers, strict=True)}
    vlm.batch_size = 2
    together = ask(vlm, chats)
    for name, values in wanted.items():
        assert len(values) == 6
        assert logprobs(alone[name]) == pytest.approx(values, rel=1e-4)
        assert logprobs(together[name]) == pytest.approx(values, rel=1e-4)
        tokens = [token["token"] for token in alone[name].logprobs or ()]
        assert [token["token"] for token in together[name].logprobs or ()] == tokens
    assert wanted["短"] != pytest.approx(wanted["长"], rel=1e-2)


def test_they_are_before_the_repetition_penalty(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = spoilt / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "repetition_penalty": 1.5}))
    vlm = load_vlm(spoilt, max_new_tokens=6, logprobs=True)
    assert vlm.generation.repetition_penalty == 1.5
    answers = written(vlm, monkeypatch)
    got = ask(vlm, chats[:1])["短"]
    assert logprobs(got) == pytest.approx(plain(vlm, chats[0], answers[0].tokens), rel=1e-4)


def ending_early(vlm: VLM, steps: int) -> None:
    """The last of two that are written together wants nothing but to end at the nth token."""
    end = vlm.tokenizer.convert_tokens_to_ids(END)
    calls = [1]  # the first token comes of reading

    def prefer(head: Any, args: Any, logits: Tensor) -> Tensor:
        calls[0] += len(logits) == 2
        logits = logits.clone()
        if calls[0] == steps and len(logits) == 2:
            logits[-1, 0, end] = logits[-1, 0].max() + 50
        return logits

    vlm.base.lm_head.register_forward_hook(prefer)


def test_an_answer_has_those_of_its_own_tokens_and_its_end(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, max_new_tokens=6, batch_size=2, logprobs=True)
    ending_early(vlm, 3)
    long, short = ask(vlm, chats).values()
    assert short.request == "短"
    assert [token["token"] for token in short.logprobs or ()][-1] == END
    assert (len(logprobs(short)), short.output_tokens, short.failure) == (3, 2, None)
    assert logprobs(short)[-1] == pytest.approx(0, abs=1e-6)
    assert (len(logprobs(long)), long.output_tokens) == (6, 6)  # cut off: all that were generated
    assert long.failure is not None
    assert long.failure.kind == "truncated"


def test_each_answer_has_as_many_as_its_own_cap(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, batch_size=2, logprobs=True)
    monkeypatch.setattr(vlm, "_token_cap", lambda asked: {"短": 2, "长": 5}[asked.id])
    got = ask(vlm, [request("嗯", id="短"), request("嗯", "好的", id="长")])
    assert {name: len(logprobs(one)) for name, one in got.items()} == {"短": 2, "长": 5}


def test_nobody_gets_them_unasked_and_asking_is_another_run(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    without, asked = load_vlm(tiny_qwen2_vl), load_vlm(tiny_qwen2_vl, logprobs=True)
    before, after = ask(without, chats), ask(asked, chats)
    assert {got.logprobs is None for got in before.values()} == {True}
    assert {name: got.text for name, got in after.items()} == {n: g.text for n, g in before.items()}
    assert without.identity() != asked.identity()
    shown = without.identity()["decoding"]["applied"]
    assert "output_logits" not in shown
    assert shown["return_dict_in_generate"] is False  # as in runs of before there were any


@pytest.mark.parametrize("exact", [False, True])
def test_a_distribution_that_is_no_number_is_an_error_of_its_request(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request], exact: bool
) -> None:
    vlm = load_vlm(tiny_qwen2_vl, logprobs=True, exact=exact)
    vlm.batch_size = 2

    def broken(head: Any, args: Any, logits: Tensor) -> Tensor:
        logits = logits.clone()
        if len(logits) == 2:
            logits[-1, :, 5] = torch.nan
        return logits

    vlm.base.lm_head.register_forward_hook(broken)
    got = ask(vlm, chats)
    assert got["短"].failed
    assert "not one of numbers" in (got["短"].failure.message if got["短"].failure else "")
    assert len(logprobs(got["长"])) == 4
