"""Samples are those of repeated rows; the prompt goes through the model once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import repeated
import torch

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.grpo.prompt import Prompt
from f2rcli.training.grpo.recipe import Sampling
from f2rcli.training.grpo.rollout import roll_out

Open = Callable[..., Any]
FREE = Sampling(completions=8, max_tokens=12, temperature=1.0, top_p=1.0, top_k=0)
PUBLISHED = Sampling(completions=8, max_tokens=12, temperature=1.0, top_p=0.85, top_k=50)
WARPED = Sampling(completions=8, max_tokens=12, temperature=1.7, top_p=0.9, top_k=60)
ENDS = {7, 30, 31, 32, 33, 34, 35, 36}  # often enough that completions end at different places
NOISY = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "temperature": 0.01, "top_k": 1}


def drawn(
    model: Any, prompt: Prompt, count: int, sampling: Sampling, cap: int, seed: int
) -> list[list[int]]:
    return roll_out(model, prompt, replace(sampling, completions=count, max_tokens=cap), ENDS, seed)


@pytest.mark.parametrize("sampling", [FREE, PUBLISHED, WARPED], ids=["free", "published", "warped"])
@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "windowed"])
def test_samples_are_those_of_repeated_rows(
    open_model: Open, pictured: Request, kind: str, sampling: Sampling
) -> None:
    """Also for a model that takes the plain path, and whatever the checkpoint's own settings are."""
    setting = open_model(kind)
    for name, value in NOISY.items():
        setattr(setting.loaded.base.generation_config, name, value)
    ours = drawn(setting.model, setting.encode(pictured), 8, sampling, 12, 5)
    assert setting.loaded.base.generation_config.repetition_penalty == 5.0
    rows = setting.builder.collate([setting.build(pictured)] * 8)
    assert ours == repeated.sample(setting.loaded.base, rows, sampling, 12, ENDS, seed=5)
    assert len(set(map(tuple, ours))) == 8


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_text_alone(open_model: Open, spoken: Request, attention: str) -> None:
    setting = open_model(attention=attention)
    ours = drawn(setting.model, setting.encode(spoken), 4, FREE, 9, 1)
    rows = setting.builder.collate([setting.build(spoken)] * 4)
    assert ours == repeated.sample(setting.loaded.base, rows, FREE, 9, ENDS, seed=1)


def test_the_prompt_goes_through_the_model_once(setting: Any, pictured: Request) -> None:
    prompt = setting.encode(pictured)
    counts = setting.count()
    completions = drawn(setting.model, prompt, 8, FREE, 10, 0)
    longest = max(map(len, completions))
    assert counts.patches == 0
    assert counts.calls == longest  # the prompt, then every token but the last
    assert counts.places == prompt.length + 8 * (longest - 1)


@pytest.mark.parametrize("kind", ["qwen2_vl", "windowed"])
def test_a_completion_closes_with_its_end_or_meets_the_cap(
    open_model: Open, spoken: Request, kind: str
) -> None:
    setting = open_model(kind)
    prompt = setting.encode(spoken)
    completions = drawn(setting.model, prompt, 16, FREE, 20, 3)
    ended = [each for each in completions if each[-1] in ENDS]
    capped = [each for each in completions if each[-1] not in ENDS]
    assert ended
    assert capped
    assert {len(each) for each in capped} == {20}
    assert all(token not in ENDS for each in completions for token in each[:-1])
    assert all(len(each) == 1 for each in drawn(setting.model, prompt, 4, FREE, 1, 3))


@pytest.mark.parametrize("kind", ["qwen2_vl", "windowed"])
def test_the_seed_alone_decides(open_model: Open, spoken: Request, kind: str) -> None:
    setting = open_model(kind)
    prompt = setting.encode(spoken)
    torch.manual_seed(1)
    first = drawn(setting.model, prompt, 4, FREE, 6, 9)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)  # the global state was left alone
    assert drawn(setting.model, prompt, 4, FREE, 6, 9) == first
    assert drawn(setting.model, prompt, 4, FREE, 6, 10) != first


@pytest.mark.parametrize("kind", ["qwen2_vl", "windowed"])
def test_modes_are_restored(open_model: Open, spoken: Request, kind: str) -> None:
    """The tower may be in evaluation mode while the rest is trained. With dropout in the adapter,
    samples are still those without."""
    setting = open_model(kind, dropout=0.5)
    prompt = setting.encode(spoken)
    before = drawn(setting.model.eval(), prompt, 4, FREE, 6, 2)
    setting.model.train()
    setting.loaded.base.model.visual.eval()
    modes = [part.training for part in setting.model.modules()]
    assert drawn(setting.model, prompt, 4, FREE, 6, 2) == before
    assert [part.training for part in setting.model.modules()] == modes
    assert {True, False} == set(modes)


def test_logits_that_are_no_numbers_are_an_error(setting: Any, spoken: Request) -> None:
    with torch.no_grad():
        setting.loaded.base.lm_head.weight[0] = float("nan")
    prompt = setting.encode(spoken)
    with pytest.raises(InputError, match="no numbers"):
        drawn(setting.model, prompt, 2, FREE, 4, 0)
