"""What an engine says of itself, and that what it leaves out costs no answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from scripted import script, written
from short_chats import fragment, picture, request
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine import engine as module
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
PROVED = {"pictures": "encoded once a dialogue", "drafts": "verified by the model"}
EXACT = dict.fromkeys(PROVED, "none, as --exact asks")


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    a, b = (picture(tmp_path / f"{n}.png", n) for n in range(2))
    return [
        request("看猫", ("", [a]), id="0"),
        request("面馆", ("", [b, a]), "走丢的猫", query="面馆", id="1"),
        request("火车", "几点", "八点", "杭州", id="2"),
    ]


def tokens(vlm: VLM, requests: list[Request]) -> dict[str, list[int]]:
    return {name: one.tokens for name, one in written(vlm, requests).items()}


def test_it_says_what_it_does(family: tuple[str, Path], load_vlm: LoadVLM) -> None:
    said = load_vlm(family[1]).environment()["engine"]
    if family[0] == "gemma3":  # with every other layer's sliding window
        reason = "none: gemma3 keeps only a window of what it has read"
        assert said == {**PROVED, "drafts": reason}
    else:
        assert said == PROVED
    assert load_vlm(family[1], exact=True).environment()["engine"] == EXACT


def test_exact_is_another_run(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    vlm, exact = load_vlm(tiny_qwen2_vl), load_vlm(tiny_qwen2_vl, exact=True, batch_size=9)
    assert exact.identity() == {**vlm.identity(), "exact": True}
    assert exact.batch_size == 1


def test_trying_leaves_nothing_behind(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    vlm = load_vlm(tiny_qwen2_vl)
    assert vlm.base.generation_config is vlm.generation
    assert vlm.generation.eos_token_id == vlm.checkpoint_generation.eos_token_id
    assert not vlm.generation.output_logits
    assert vlm.inputs.cache == {}


Plant = Callable[[Any, dict[str, Any]], None]


def plant(monkeypatch: pytest.MonkeyPatch, fault: Plant) -> None:
    """A model that has a fault where it is given more than one token behind what it has read."""
    original = Qwen2VLForConditionalGeneration.forward

    def before(model: Any, args: Any, given: dict[str, Any]) -> None:
        cache = given.get("past_key_values")
        if cache is not None and cache.get_seq_length() and given["input_ids"].shape[1] > 1:
            fault(model, given)

    def init(self: Any, *args: Any, **given: Any) -> None:
        INIT(self, *args, **given)
        self.register_forward_pre_hook(before, with_kwargs=True)

    assert original is Qwen2VLForConditionalGeneration.forward
    monkeypatch.setattr(Qwen2VLForConditionalGeneration, "__init__", init)


INIT = Qwen2VLForConditionalGeneration.__init__


def other_positions(model: Any, given: dict[str, Any]) -> None:
    given["position_ids"] += 1


def no_mask(model: Any, given: dict[str, Any]) -> None:
    given["attention_mask"].fill_(1)


def refuses(model: Any, given: dict[str, Any]) -> None:
    raise NotImplementedError("one token\nat a time")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (other_positions, "none: log-probabilities of drafted tokens are up to"),
        (no_mask, "none: log-probabilities of drafted tokens are up to"),
        (refuses, "none: NotImplementedError: one token at a time"),
    ],
)
def test_a_model_that_takes_no_drafts_gets_none(
    tiny_qwen2_vl: Path,
    load_vlm: LoadVLM,
    chats: list[Request],
    monkeypatch: pytest.MonkeyPatch,
    fault: Plant,
    reason: str,
) -> None:
    wanted = tokens(load_vlm(tiny_qwen2_vl, exact=True, max_new_tokens=8), chats)
    plant(monkeypatch, fault)
    vlm = load_vlm(tiny_qwen2_vl, max_new_tokens=8, batch_size=3)
    said = vlm.environment()["engine"]
    assert said["drafts"].startswith(reason)
    assert said["pictures"] == PROVED["pictures"]
    assert tokens(vlm, chats) == wanted


def test_what_is_tried_tells_half_precision_apart(
    checkpoint: Path, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_vlm(checkpoint, dtype="bfloat16").engine.drafts
    monkeypatch.setattr(module, "NEAR", -1.0)
    assert load_vlm(checkpoint, dtype="bfloat16").engine.drafts
    assert not load_vlm(checkpoint, dtype="float32").engine.drafts


def test_a_fault_that_is_found_while_a_prompt_is_read_costs_its_request(
    tiny_qwen2_vl: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    """Read one by one and written together: the others of its batch are answered all the same."""
    vlm = load_vlm(tiny_qwen2_vl, batch_size=3)
    wanted = {got.request: got.text for got in vlm.retrieve(chats)}
    length = len(vlm.inputs.build(chats[1]).ids)

    def fault(model: Any, args: Any, given: dict[str, Any]) -> None:
        if given["input_ids"].shape[1] == length:
            given["input_ids"][0, 4] = 15

    vlm.base.register_forward_pre_hook(fault, with_kwargs=True, prepend=True)
    got = {one.request: one for one in vlm.retrieve(chats)}
    assert {name for name, one in got.items() if one.failed} == {"1"}
    assert got["1"].failure is not None
    assert got["1"].failure.message.startswith("input audit: the prompt that reached the model")
    assert {name: got[name].text for name in "02"} == {name: wanted[name] for name in "02"}


def test_log_probabilities_are_of_the_model_and_not_of_a_draft(tagged: Path, load_vlm: LoadVLM) -> None:
    vlm = load_vlm(tagged, max_new_tokens=30, logprobs=True)
    one = request(*["好"] * 12, id="r")
    said = vlm.tokenizer(render_answer(fragment([3, 4])) + "<|im_end|>")["input_ids"]
    script(vlm, {"r": said}, [one])
    answer = written(vlm, [one])["r"]
    assert answer.tokens == said
    heads: list[Tensor] = []
    vlm.base.get_output_embeddings().register_forward_hook(lambda *given: heads.append(given[-1]))
    ids = torch.tensor([[*vlm.inputs.build(one).ids, *said[:-1]]])
    kinds = torch.zeros_like(ids)
    places = torch.arange(ids.shape[1]).expand(3, 1, -1)
    with torch.no_grad():
        vlm.base(input_ids=ids, position_ids=places, mm_token_type_ids=kinds)
    plain = heads[0][0, -len(said) :].log_softmax(-1)
    wanted = [float(row[token]) for row, token in zip(plain, said, strict=True)]
    assert answer.logprobs == pytest.approx(wanted, abs=1e-4)
