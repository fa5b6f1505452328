"""One step of GRPO: groups, scores by policy and reference, the gradient, the update."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import Tensor
from transformers import get_scheduler

from f2rcli.training.failures import not_finite
from f2rcli.training.grpo.groups import Clock, Group, Groups
from f2rcli.training.grpo.objective import advantages, loss
from f2rcli.training.grpo.policy import Policy
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.grpo.scoring import log_probabilities

STATE = "state.pt"


class Steps:
    """The adapter in training, its optimiser and its schedule."""

    def __init__(
        self, policy: Policy, groups: Groups, recipe: GrpoRecipe, total: int, processes: PartialState
    ) -> None:
        self.policy, self.groups, self.recipe, self.processes = policy, groups, recipe, processes
        optimiser, updates = recipe.optimiser, total * recipe.objective.updates
        self.weights = policy.weights
        self.optimiser = torch.optim.AdamW(
            self.weights.values(),
            optimiser.learning_rate,
            betas=optimiser.betas,
            weight_decay=optimiser.weight_decay,
        )
        self.schedule = get_scheduler(
            optimiser.schedule, self.optimiser, math.ceil(optimiser.warmup * updates), updates
        )

    def take(self, step: int) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """The step (from 0): figures of the log and samples, of all processes.

        Each process does a share of the step's prompts.
        """
        clock = Clock(self.policy.loaded.base.device)
        slots = range(
            self.processes.process_index, self.recipe.loop.prompts, self.processes.num_processes
        )
        groups = {slot: self.groups.draw(step, slot, clock) for slot in slots}
        with clock.phase("reference"), torch.no_grad(), self.policy.reference():
            reference = {slot: self._score(group)[0] for slot, group in groups.items()}
        figures = {slot: group.figures() for slot, group in groups.items()}
        old: dict[int, list[Tensor]] = {}
        rate = self.schedule.get_last_lr()[0]
        norm = 0.0
        for update in range(self.recipe.objective.updates):
            for slot, group in groups.items():
                with clock.phase("policy"), self._dropping(step, slot):
                    new, entropy = self._score(group)
                    old.setdefault(slot, [one.detach() for one in new])
                    about = self._backward(group, new, old[slot], reference[slot], step)
                if not update:
                    figures[slot]["entropy"] = entropy
                for name, value in about.items():
                    figures[slot][name] = (
                        figures[slot].get(name, 0.0) + value / self.recipe.objective.updates
                    )
            with clock.phase("update"):
                norm = self._update(step)
        return self._gathered(
            {slot: (figures[slot], group.sample(step + 1)) for slot, group in groups.items()},
            {"learning_rate": rate, "gradient_norm": norm},
            clock,
        )

    def _score(self, group: Group) -> tuple[list[Tensor], float]:
        """Log-probabilities of the completions' tokens, and the mean entropy of a token."""
        scored = log_probabilities(
            self.policy.model, group.prompt, group.completions, self.recipe.sampling.temperature
        )
        return scored.log_probs, torch.cat(scored.entropies).mean().item()

    @contextmanager
    def _dropping(self, step: int, slot: int) -> Iterator[None]:
        """Training mode, with dropout's random numbers of this place alone, the same in every update."""
        device = self.policy.loaded.base.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(self.groups.order.draw_seed(step, slot, -1))
            self.policy.model.train()
            try:
                yield
            finally:
                self.policy.model.eval()

    def _backward(
        self, group: Group, new: list[Tensor], old: list[Tensor], reference: list[Tensor], step: int
    ) -> dict[str, float]:
        objective = self.recipe.objective
        found = loss(
            new,
            old,
            reference,
            advantages(group.totals),
            epsilon=objective.epsilon,
            epsilon_high=objective.epsilon_high,
            beta=objective.beta,
        )
        if not found.total.isfinite():
            raise not_finite("the loss", found.total.item(), step + 1)
        (found.total / self.recipe.loop.prompts).backward()  # type: ignore[no-untyped-call]
        return {"loss": found.total.item(), "kl": found.divergence, "clipped": found.clipped}

    def _update(self, step: int) -> float:
        """One update by the gradients of all processes; their norm before it was clipped."""
        gradients = []
        for weight in self.weights.values():
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
            weight.grad = reduce(weight.grad, "sum")
            gradients.append(weight.grad)
        norm = torch.nn.utils.get_total_norm(gradients)
        if not norm.isfinite():
            raise not_finite("the gradient", norm.item(), step + 1)
        torch.nn.utils.clip_grads_with_norm_(self.weights.values(), self.recipe.optimiser.clip, norm)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        return norm.item()

    def _gathered(
        self,
        mine: dict[int, tuple[dict[str, float], dict[str, Any]]],
        shared: dict[str, float],
        clock: Clock,
    ) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Means over the groups of all processes, and their samples in order; seconds of this one."""
        everything = sorted(gather_object(list(mine.items())), key=lambda item: item[0])
        figures = [one for _, (one, _) in everything]
        means = {name: sum(one[name] for one in figures) / len(figures) for name in figures[0]}
        seconds = {f"seconds_{name}": round(spent, 4) for name, spent in clock.seconds.items()}
        return {**means, **shared, **seconds}, [sample for _, (_, sample) in everything]

    def save(self, folder: Path) -> Path:
        """The folder of a state, written inside another."""
        written = folder / "grpo"
        written.mkdir(parents=True)
        state = {
            "weights": self.weights,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        whole = io.BytesIO()  # a full disk is an OSError only where plain bytes are written
        torch.save(state, whole)
        (written / STATE).write_bytes(whole.getbuffer())
        return written

    def restore(self, folder: Path) -> None:
        device = self.policy.loaded.base.device
        state = torch.load(folder / STATE, map_location=device, weights_only=True)
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(state["weights"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
