"""The model in training, and the reference within it: the SFT model, in one copy of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from f2rcli.adapters.vlm.loading import DTYPES, Loaded
from f2rcli.training.checkpoint import write_adapter, write_checkpoint
from f2rcli.training.recipe import Lora
from f2rcli.training.tuning import layers_found, lora_config, prepare

SFT, GRPO, BOTH = "default", "grpo", "both"  # names of adapters; PEFT calls a model's first one so


@dataclass(frozen=True)
class Policy:
    """A new adapter over the SFT model; the reference is the model without it.

    Where the SFT model is an adapter itself (`over_adapter`), both are active side by side. (Merged into
    the base, in 16 bits, most of an adapter as small as GRPO's would be rounded away.) `name` is what
    the finished adapter calls its base.
    """

    loaded: Loaded
    name: str
    over_adapter: bool = False

    @classmethod
    def begin(cls, sft: Loaded, lora: Lora, name: str) -> Self:
        """Raises InputError for layers that the model lacks."""
        if sft.model is sft.base:
            return cls(prepare(sft, lora, name, freeze_vision=True), name)
        sft.base.requires_grad_(False)
        with layers_found():
            sft.model.add_adapter(GRPO, lora_config(sft, lora, freeze_vision=True))
        policy = cls(sft, name, over_adapter=True)
        policy._activate()
        return policy

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def weights(self) -> dict[str, Any]:
        """What is trained, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @contextmanager
    def reference(self) -> Iterator[None]:
        """The SFT model meanwhile. No backward pass may run inside."""
        if not self.over_adapter:
            with self.model.disable_adapter():
                yield
            return
        self.model.base_model.set_adapter(SFT, inference_mode=True)
        try:
            yield
        finally:
            self._activate()

    def _activate(self) -> None:
        self.model.base_model.set_adapter([SFT, GRPO])
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(f".{GRPO}." in name)

    def write(self, base: Path, save_as: str, folder: Path) -> None:
        """An adapter over the base, of both if there are two. Nothing can be trained after it."""
        if not self.over_adapter:
            write_checkpoint(self.loaded, base, save_as, folder)
            return
        self.model.add_weighted_adapter([SFT, GRPO], [1.0, 1.0], BOTH, combination_type="cat")
        self.model.peft_config[BOTH].base_model_name_or_path = self.name
        self.model.to(DTYPES[save_as])
        write_adapter(self.model, BOTH, folder)
