"""GRPO's objective over groups of completions: advantages, the clipped ratio, the divergence.

Group relative policy optimisation (arXiv 2402.03300) with the upper bound of its own of DAPO (arXiv
2503.14476), the loss averaged within each completion first ("grpo" of TRL and ms-swift).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SMALL = 1e-4  # added to a group's deviation, as TRL and ms-swift do


def advantages(rewards: Sequence[float]) -> Tensor:
    """Of one group's completions: how many deviations (of a sample) each is above the mean."""
    values = torch.tensor(rewards, dtype=torch.float32)
    return (values - values.mean()) / (values.std() + SMALL)


@dataclass(frozen=True, slots=True)
class Loss:
    """`total` has the gradient; the others are means over the group's tokens."""

    total: Tensor
    divergence: float
    clipped: float


def loss(
    new: Sequence[Tensor],
    old: Sequence[Tensor],
    reference: Sequence[Tensor],
    advantage: Tensor,
    *,
    epsilon: float,
    epsilon_high: float,
    beta: float,
) -> Loss:
    """Mean over a group's completions of the mean over each one's tokens of

    -min(ρA, clip(ρ, 1 - ε, 1 + ε_high)A) + β(exp(r - n) - (r - n) - 1), with ρ = exp(n - o)

    for a token's log-probability n under the policy, o when it was sampled, r under the reference. All
    three are lists of one tensor (tokens) a completion, on one device; `advantage` has one value each.
    """
    losses, divergences, clips = [], [], []
    for n, o, r, a in zip(new, old, reference, advantage.tolist(), strict=True):
        ratio = (n - o).exp()
        bounded = ratio.clamp(1 - epsilon, 1 + epsilon_high)
        divergence = (r - n).exp() - (r - n) - 1
        losses.append((-torch.minimum(ratio * a, bounded * a) + beta * divergence).mean())
        divergences.append(divergence.detach())
        clips.append((ratio * a > bounded * a).detach().float())
    return Loss(
        torch.stack(losses).mean(),
        torch.cat(divergences).mean().item(),
        torch.cat(clips).mean().item(),
    )
