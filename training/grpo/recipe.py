"""The recipe of GRPO."""

from dataclasses import dataclass
from typing import Annotated, Literal

from f2rcli.training.recipe import (
    Count,
    Decay,
    Flag,
    Lora,
    Optimiser,
    Positive,
    Precision,
    Rule,
    Share,
    Storage,
    Text,
    Validation,
    Whole,
)
from f2rcli.training.rewards import RewardWeights

Nucleus = Annotated[
    float,
    Rule("a number above 0, up to 1", lambda v: type(v) in (int, float) and 0 < v <= 1),
]


@dataclass(frozen=True, slots=True)
class Sampling:
    """`completions` of each prompt, each of at most `max_tokens` tokens.

    As in transformers: temperature, top-k, then top-p; `top_p` 1 and `top_k` 0 leave nothing out.
    """

    completions: Count
    temperature: Positive
    top_p: Nucleus
    top_k: Whole
    max_tokens: Count


@dataclass(frozen=True, slots=True)
class Objective:
    """The clipped objective: ratios from 1 - epsilon to 1 + epsilon_high, and β of the divergence.

    `updates` is how often the weights are updated with the completions of one step. With 1 no ratio
    differs from 1, and nothing is clipped.
    """

    epsilon: Share
    epsilon_high: Positive
    beta: Decay
    updates: Count


@dataclass(frozen=True, slots=True)
class GrpoLoop:
    """`epochs` or `steps`, one of the two. A step is `prompts` prompts, all processes together.

    A prompt whose completions all have one reward is replaced by another's, at most `redraws` times.
    """

    prompts: Count
    redraws: Whole
    gradient_checkpointing: Flag
    save_every: Count
    log_every: Count
    epochs: Count | None = None
    steps: Count | None = None


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of more tokens or images are passed over; pictures of more pixels are made smaller."""

    max_tokens: Count
    max_pixels: Count
    max_images: Count


@dataclass(frozen=True, slots=True)
class GrpoRecipe:
    """Everything that the result depends on, save the files that it names.

    `base` is the SFT model, or with `adapter` what that is an adapter of. `curriculum` is the file of
    `f2r train curriculum`; without it every epoch is in a random order. `encoder` embeds what the
    rewards of order compare.
    """

    name: str
    stage: Literal["grpo"]
    base: Text
    data: Text
    seed: Whole
    precision: Precision
    save_as: Storage
    prompts: Prompts
    lora: Lora
    optimiser: Optimiser
    sampling: Sampling
    objective: Objective
    rewards: RewardWeights
    loop: GrpoLoop
    validation: Validation
    adapter: Text | None = None
    curriculum: Text | None = None
    encoder: Text | None = None
    report: tuple[Literal["tensorboard", "wandb"], ...] = ()

    def complaint(self) -> str | None:
        if (self.loop.epochs is None) == (self.loop.steps is None):
            return "loop needs one of epochs and steps"
        if self.sampling.completions < 2:
            return "sampling.completions 1 leaves nothing to compare"
        return None
