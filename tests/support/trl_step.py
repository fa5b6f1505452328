"""One step of TRL's GRPOTrainer, to compare ours with.

TRL is an implementation by others, and slow to import: only slow tests do.
"""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from f2rcli.adapters.vlm.inputs import InputBuilder
from f2rcli.tasks.images import open_image
from f2rcli.tasks.types import Request

GROUP = 8


class PublishedGroup(GRPOTrainer):
    """TRL's trainer at the published settings, with `rewards` given instead of made.

    Its policy is `base` with a fresh adapter that is set to `adapter`'s weights, so that its reference
    is the base (for a model that comes with an adapter, TRL takes a copy of that). Rows are shuffled
    inside a step: `in_our_order` undoes it.
    """

    def __init__(self, base: Any, adapter: Any, processor: Any, folder: Path, **changes: Any) -> None:
        settings = {
            "loss_type": "grpo",
            "epsilon": 0.2,
            "epsilon_high": 0.28,
            "beta": 0.02,
            "use_bias_correction_kl": False,  # TRL's default multiplies the KL term by the ratio
            "scale_rewards": "group",
            "temperature": 1.0,
            "max_completion_length": 64,
        }
        args = GRPOConfig(
            output_dir=str(folder),
            num_generations=GROUP,
            per_device_train_batch_size=GROUP,
            gradient_accumulation_steps=1,
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            report_to="none",
            **{**settings, **changes},
        )
        kept = adapter.peft_config["default"]
        config = LoraConfig(
            r=kept.r,
            lora_alpha=kept.lora_alpha,
            lora_dropout=0.0,
            target_modules=kept.target_modules,
            exclude_modules=kept.exclude_modules,
            task_type="CAUSAL_LM",
        )
        unused = Dataset.from_list([{"prompt": [{"role": "user", "content": "猫"}]}] * GROUP)
        super().__init__(
            base,
            self._rewards_given,
            args=args,
            train_dataset=unused,
            processing_class=processor,
            peft_config=config,
        )
        weights = {name: p for name, p in adapter.named_parameters() if "lora_" in name}
        with torch.no_grad():
            for name, weight in weights.items():
                self.model.get_parameter(name).copy_(weight)
        self.current_gradient_accumulation_steps = 1  # train() would set it
        self.model.train()

    def rows(self, messages: list[dict[str, Any]], rewards: list[float]) -> dict[str, Any]:
        """What TRL's loop hands to `compute_loss` for one prompt's group."""
        self.rewards = rewards
        made: dict[str, Any] = self._prepare_inputs([{"prompt": messages}] * GROUP)
        return made

    def _rewards_given(self, **_: Any) -> list[float]:
        return self.rewards


class GivenGroup(PublishedGroup):
    """With given completions, too."""

    def step(
        self, messages: list[dict[str, Any]], completions: list[list[int]], rewards: list[float]
    ) -> dict[str, Any]:
        self.completions = completions
        return self.rows(messages, rewards)

    def gradients(self, rows: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The step's loss, and its gradient for every weight of the adapter by name."""
        loss = self.compute_loss(self.model, rows)
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        found = torch.autograd.grad(loss, list(trained.values()))
        return loss.detach(), dict(zip(trained, found, strict=True))

    def log_probs(self, rows: dict[str, Any], completions: list[list[int]]) -> list[torch.Tensor]:
        """The policy's, by its own scoring, for completions in our order."""
        ids = torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1)
        mask = torch.cat([rows["prompt_mask"], rows["completion_mask"]], dim=1)
        named = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")
        picked, _, _ = self._get_per_token_logps_and_entropies(
            self.model,
            ids,
            mask,
            rows["completion_ids"].shape[1],
            **{name: rows[name] for name in named if name in rows},
        )
        return in_our_order(rows, picked, completions)

    def _generate_single_turn(self, *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        return self.completions, None

    def _rewards_given(self, completion_ids: list[list[int]], **_: Any) -> list[float]:
        assert completion_ids == self.completions
        return self.rewards


def in_our_order(
    rows: dict[str, Any], values: torch.Tensor, completions: list[list[int]]
) -> list[torch.Tensor]:
    """Rows of TRL's shuffled and padded `values` (group × longest), one tensor a completion."""
    masks = rows["completion_mask"].bool()
    there = [ids[mask].tolist() for ids, mask in zip(rows["completion_ids"], masks, strict=True)]
    return [values[there.index(each)][: len(each)] for each in completions]


def as_messages(builder: InputBuilder, asked: Request) -> list[dict[str, Any]]:
    """The request's messages with the pictures themselves in place, as TRL takes them."""
    system, parts, order, _ = builder._spoken(asked)
    files = {image.id: image.file for image in asked.dialogue.images}
    pictures = (open_image(files[image_id]) for image_id in order)
    content = [
        {"type": "image", "image": next(pictures)} if part is None else {"type": "text", "text": part}
        for part in parts
    ]
    first = [] if system is None else [{"role": "system", "content": [{"type": "text", "text": system}]}]
    return [*first, {"role": "user", "content": content}]
