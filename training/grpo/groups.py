"""Groups of completions: sampled, rewarded, and drawn again where they teach nothing."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from f2rcli.adapters.vlm.inputs import InputBuilder, ModelInput
from f2rcli.adapters.vlm.loading import Loaded
from f2rcli.tasks.answers import strict_lists
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.grpo.order import Order
from f2rcli.training.grpo.prompt import Prompt, encode
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.grpo.rollout import roll_out
from f2rcli.training.rewards import Rewards

MOST_UNFIT = 100  # prompts passed over for one place before the data is taken to be unfit


@dataclass
class Clock:
    """Seconds by phase, of a device that may be working on."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._wait()
        begun = time.perf_counter()
        yield
        self._wait()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True, eq=False)
class Group:
    """One prompt's completions. `rewards` are unweighted, `totals` their weighted sums; `redrawn`
    counts the groups that were equal throughout before it, `unfit` the prompts that were passed over."""

    request: Request
    prompt: Prompt
    completions: list[list[int]]
    texts: list[str]
    rewards: dict[str, list[float]]
    totals: list[float]
    cut: list[bool]
    redrawn: int
    unfit: int

    @property
    def equal(self) -> bool:
        """Whether nothing can be learnt from comparing them."""
        return max(self.totals) == min(self.totals)

    def sample(self, step: int) -> dict[str, Any]:
        """A line of completions.jsonl."""
        return {
            "step": step,
            "request": self.request.id,
            "query": self.request.query.text,
            "completions": self.texts,
            "rewards": self.rewards,
            "totals": self.totals,
        }

    def figures(self) -> dict[str, float]:
        """What the log has a mean of, over groups."""
        totals = torch.tensor(self.totals)
        count = len(self.texts)
        tokens = sum(map(len, self.completions))
        return {
            **{f"reward_{name}": sum(values) / count for name, values in self.rewards.items()},
            "reward": totals.mean().item(),
            "reward_deviation": totals.std().item(),
            "equal": float(self.equal),
            "redrawn": float(self.redrawn),
            "unfit": float(self.unfit),
            "strict": sum(strict_lists(text) is not None for text in self.texts) / count,
            "cut": sum(self.cut) / count,
            "prompt_tokens": float(self.prompt.length),
            "completion_tokens": tokens / count,
        }


class Groups:
    """Draws the group of a place in a step."""

    def __init__(
        self,
        loaded: Loaded,
        builder: InputBuilder,
        requests: Sequence[Request],
        order: Order,
        rewards: Rewards,
        recipe: GrpoRecipe,
        ends: set[int],
    ) -> None:
        self.loaded, self.builder, self.ends = loaded, builder, ends
        self.requests, self.order, self.rewards = requests, order, rewards
        self.recipe = recipe

    def draw(self, step: int, slot: int, clock: Clock) -> Group:
        """Of the place's own prompt, or of another where that does not fit or all rewards are equal.

        (Dynamic sampling: other prompts at most `redraws` times, then the last group is kept.) Raises
        InputError for a picture that cannot be read, and if no prompt fits.
        """
        attempt = unfit = redrawn = 0
        number = self.order.at(step, slot)
        while True:
            with clock.phase("prompt"):
                one = self._input(self.requests[number])
            if one is None:
                unfit += 1
                if unfit >= MOST_UNFIT:
                    raise InputError(
                        f"{unfit} prompts have more tokens than the recipe takes",
                        fix="raise prompts.max_tokens, or lower max_pixels",
                    )
            else:
                seed = self.order.draw_seed(step, slot, attempt)
                group = self._group(one, seed, redrawn, unfit, clock)
                if not group.equal or redrawn == self.recipe.loop.redraws:
                    return group
                redrawn += 1
            attempt += 1
            number = self.order.instead(step, slot, attempt)

    def _input(self, request: Request) -> ModelInput | None:
        try:
            one = self.builder.build(request)
        except InputError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            raise InputError(what, where=request.where, fix=error.fix) from None
        return one if len(one.ids) <= self.recipe.prompts.max_tokens else None

    def _group(self, one: ModelInput, seed: int, redrawn: int, unfit: int, clock: Clock) -> Group:
        with clock.phase("prompt"):
            prompt = encode(self.loaded, one, self.builder)
        with clock.phase("rollout"):
            completions = roll_out(self.loaded.model, prompt, self.recipe.sampling, self.ends, seed)
        with clock.phase("rewards"):
            cut = [row[-1] not in self.ends for row in completions]
            texts = [
                self.builder.tokenizer.decode(
                    row if open_ended else row[:-1],
                    skip_special_tokens=False,
                    clean_up_tokenization_spaces=False,
                )
                for row, open_ended in zip(completions, cut, strict=True)
            ]
            rewards = self.rewards.of(texts, one.request)
            totals = self.rewards.total(rewards)
        return Group(one.request, prompt, completions, texts, rewards, totals, cut, redrawn, unfit)
