"""Ours against TRL's GRPOTrainer, an implementation by others."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from f2rcli.tasks.types import Request
from f2rcli.training.grpo.objective import advantages, loss
from f2rcli.training.grpo.scoring import log_probabilities

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # TRL's warnings are its own

Open = Callable[..., Any]
COMPLETIONS = [[5 + i, 9, 200 + 3 * i, *range(40, 40 + i), 7] for i in range(8)]
REWARDS = [0.1, 1.3, 0.0, 0.4, 2.3, 0.4, 0.9, 1.7]


@pytest.fixture
def trl_step() -> Any:
    """The module that drives TRL's trainer."""
    pytest.importorskip("trl")
    return importlib.import_module("trl_step")


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("temperature", [1.0, 1.4])
def test_log_probabilities(
    trl_step: Any, open_model: Open, pictured: Request, tmp_path: Path, kind: str, temperature: float
) -> None:
    """Of the policy and of the reference, for the same completions of the same prompt."""
    ours, theirs = open_model(kind), open_model(kind)
    trainer = trl_step.GivenGroup(
        theirs.loaded.model.unload(),
        ours.model,
        theirs.loaded.processor,
        tmp_path,
        temperature=temperature,
    )
    rows = trainer.step(trl_step.as_messages(ours.builder, pictured), COMPLETIONS, REWARDS)
    assert rows["prompt_ids"].tolist() == [ours.build(pictured).ids] * len(COMPLETIONS)
    prompt = ours.encode(pictured)
    policy = log_probabilities(ours.model, prompt, COMPLETIONS, temperature).log_probs
    with torch.no_grad(), ours.model.disable_adapter():
        reference = log_probabilities(ours.model, prompt, COMPLETIONS, temperature).log_probs
    other = trainer.log_probs(rows, COMPLETIONS)
    torch.testing.assert_close(torch.cat(policy), torch.cat(other), rtol=1e-4, atol=1e-5)
    other = trl_step.in_our_order(rows, rows["ref_per_token_logps"], COMPLETIONS)
    torch.testing.assert_close(torch.cat(reference), torch.cat(other), rtol=1e-4, atol=1e-5)
    assert (torch.cat(policy) - torch.cat(reference)).abs().max() > 1e-2


def test_a_whole_step(
    trl_step: Any, setting: Any, open_model: Open, pictured: Request, tmp_path: Path
) -> None:
    """Loss and gradients, with the loss type, bounds and β of the release.

    (By default TRL multiplies the term of the divergence by the ratio, which has the same value and
    another gradient, of up to 3.5 % of a weight's whole gradient here. Off here.)
    """
    theirs = open_model()
    trainer = trl_step.GivenGroup(
        theirs.model.unload(), setting.model, theirs.loaded.processor, tmp_path
    )
    rows = trainer.step(trl_step.as_messages(setting.builder, pictured), COMPLETIONS, REWARDS)
    expected, gradients = trainer.gradients(rows)
    prompt = setting.encode(pictured)
    policy = log_probabilities(setting.model, prompt, COMPLETIONS, 1.0).log_probs
    with torch.no_grad(), setting.model.disable_adapter():
        reference = log_probabilities(setting.model, prompt, COMPLETIONS, 1.0).log_probs
    old = [one.detach() for one in policy]
    found = loss(policy, old, reference, advantages(REWARDS), epsilon=0.2, epsilon_high=0.28, beta=0.02)
    torch.testing.assert_close(found.total.detach(), expected, rtol=1e-4, atol=1e-6)
    ours = torch.autograd.grad(found.total, list(setting.adapter.values()))
    assert set(gradients) == set(setting.adapter)
    for name, gradient in zip(setting.adapter, ours, strict=True):
        assert gradient.norm() > 0
        assert (gradients[name] - gradient).norm() / gradient.norm() < 1e-4, name
