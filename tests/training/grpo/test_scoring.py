"""Log-probabilities and gradients are those of repeated rows; the prompt goes through the model once."""

from collections.abc import Callable
from typing import Any

import pytest
import repeated
import torch
from counting import Counts

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.grpo.prompt import Plain
from f2rcli.training.grpo.scoring import Scored, log_probabilities

Open = Callable[..., Any]
KINDS = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "windowed"]
COMPLETIONS = [[5, 9, 200, 31, 7], [9], [5, 9, 12], [300, 40, 41, 42, 43, 44, 45, 7]]
ADVANTAGES = [1.3, -0.7, 0.4, -1.1]


def gradients(setting: Any, log_probs: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of a loss in which every completion and every token weighs differently."""
    loss = sum(
        (each * torch.linspace(0.5, 1.5, len(each))).sum() * advantage
        for each, advantage in zip(log_probs, ADVANTAGES, strict=True)
    )
    found = torch.autograd.grad(loss, list(setting.adapter.values()))
    return dict(zip(setting.adapter, found, strict=True))


def assert_same(
    setting: Any,
    asked: Request,
    completions: list[list[int]] = COMPLETIONS,
    temperature: float = 1.0,
) -> Scored:
    """Ours against repeated rows, to a ten-thousandth: every value and every gradient."""
    ours = log_probabilities(setting.model, setting.encode(asked), completions, temperature)
    plain, entropies = repeated.score(
        setting.model, setting.builder, setting.build(asked), completions, temperature
    )
    for mine, other in zip(ours.log_probs + ours.entropies, plain + entropies, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert all(each.dtype == torch.float32 for each in ours.log_probs)
    assert not any(each.requires_grad for each in ours.entropies)
    mine, other = gradients(setting, ours.log_probs), gradients(setting, plain)
    assert len(mine) == 2 * 7 * 2  # A and B, of seven linear layers, twice
    for name, expected in other.items():
        assert expected.norm() > 1e-3, name
        assert (mine[name] - expected).norm() / expected.norm() < 1e-4, name
    return ours


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_and_gradients(
    open_model: Open, pictured: Request, kind: str, attention: str
) -> None:
    """`windowed` takes the plain path; a tree would let it see what is outside its window."""
    setting = open_model(kind, attention)
    assert_same(setting, pictured)


@pytest.mark.parametrize("kind", KINDS)
def test_text_alone(open_model: Open, spoken: Request, kind: str) -> None:
    assert_same(open_model(kind), spoken)


@pytest.mark.parametrize("kind", KINDS)
def test_temperature(open_model: Open, spoken: Request, kind: str) -> None:
    setting = open_model(kind)
    warm = assert_same(setting, spoken, temperature=1.5)
    plain = log_probabilities(setting.model, setting.encode(spoken), COMPLETIONS, 1.0)
    assert torch.cat(warm.entropies).mean() > torch.cat(plain.entropies).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing(open_model: Open, pictured: Request, kind: str) -> None:
    setting = open_model(kind)
    setting.loaded.base.activation_checkpointing_enable()
    setting.model.train()
    counts = setting.count()
    layer = setting.loaded.base.model.language_model.layers[0].mlp
    runs: list[int] = []
    layer.register_forward_pre_hook(lambda *_: runs.append(1))
    scored = log_probabilities(setting.model, setting.encode(pictured), COMPLETIONS, 1.0)
    forward = len(runs)
    gradients(setting, scored.log_probs)
    assert forward == counts.calls
    assert len(runs) == 2 * forward  # computed again on the way back
    assert_same(setting, pictured)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_is_the_model_without_its_adapter(
    open_model: Open, pictured: Request, kind: str
) -> None:
    """Scored between the policy's scoring and its backward pass, from the same features."""
    setting = open_model(kind)
    setting.loaded.base.activation_checkpointing_enable()
    setting.model.train()
    prompt = setting.encode(pictured)
    alone = gradients(setting, log_probabilities(setting.model, prompt, COMPLETIONS, 1.0).log_probs)
    policy = log_probabilities(setting.model, prompt, COMPLETIONS, 1.0).log_probs
    with torch.no_grad(), setting.model.disable_adapter():
        reference = log_probabilities(setting.model, prompt, COMPLETIONS, 1.0).log_probs
        plain, _ = repeated.score(setting.model, setting.builder, setting.build(pictured), COMPLETIONS)
    for mine, other, with_adapter in zip(reference, plain, policy, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
        assert not mine.requires_grad
        assert (mine - with_adapter).abs().max() > 1e-2
    for name, gradient in gradients(setting, policy).items():
        torch.testing.assert_close(gradient, alone[name])


def test_the_prompt_goes_through_the_model_once(setting: Any, pictured: Request) -> None:
    prompt = setting.encode(pictured)
    counts = setting.count()
    log_probabilities(setting.model, prompt, COMPLETIONS, 1.0)
    places = prompt.length + sum(len(each) - 1 for each in COMPLETIONS)
    assert counts == Counts(passes=[(1, places)])


def test_logits_are_made_where_they_are_needed(setting: Any, pictured: Request) -> None:
    rows: list[int] = []
    setting.loaded.base.lm_head.register_forward_hook(
        lambda module, given, made: rows.append(made.numel() // made.shape[-1])
    )
    log_probabilities(setting.model, setting.encode(pictured), COMPLETIONS, 1.0)
    assert rows == [1 + sum(len(each) - 1 for each in COMPLETIONS)]


def test_completions_of_one_token(setting: Any, pictured: Request) -> None:
    ours = log_probabilities(setting.model, setting.encode(pictured), [[5], [9]], 1.0).log_probs
    plain, _ = repeated.score(setting.model, setting.builder, setting.build(pictured), [[5], [9]])
    torch.testing.assert_close(torch.cat(ours), torch.cat(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_sampled_placeholder_is_no_picture(open_model: Open, pictured: Request, kind: str) -> None:
    """`generate` puts the token's own embedding in. Before it, others and it are scored alike."""
    setting = open_model(kind)
    hole, spare = setting.placeholder, 4
    prompt = setting.encode(pictured)
    base: Any = setting.loaded.base
    with torch.no_grad():  # a token of the same embedding, at which no architecture looks
        base.get_input_embeddings().weight[spare] = base.get_input_embeddings().weight[hole]
    with_hole = [[5, hole, 9, hole, 7], [hole, 8, 7]]
    with_spare = [[5, spare, 9, spare, 7], [spare, 8, 7]]
    ours = log_probabilities(setting.model, prompt, with_hole, 1.0).log_probs
    plain, _ = repeated.score(setting.model, setting.builder, setting.build(pictured), with_spare)
    for mine, other, tokens in zip(ours, plain, with_hole, strict=True):
        others = torch.tensor(tokens) != hole
        torch.testing.assert_close(mine[others], other[others], rtol=1e-4, atol=1e-5)


def test_a_plain_row_with_a_sampled_placeholder_is_an_error(open_model: Open, pictured: Request) -> None:
    setting = open_model("windowed")
    prompt = setting.encode(pictured)
    with pytest.raises(InputError, match="stands for a picture"):
        log_probabilities(setting.model, prompt, [[5, setting.placeholder, 7]], 1.0)


def test_both_paths_agree(setting: Any, pictured: Request) -> None:
    shared = setting.encode(pictured)
    plain = Plain(shared.ids, shared.image_token_id, setting.builder.collate([setting.build(pictured)]))
    one = log_probabilities(setting.model, shared, COMPLETIONS, 1.0).log_probs
    other = log_probabilities(setting.model, plain, COMPLETIONS, 1.0).log_probs
    torch.testing.assert_close(torch.cat(one), torch.cat(other), rtol=1e-4, atol=1e-5)
