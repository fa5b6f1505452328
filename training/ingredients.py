"""What a training is made of: a base checkpoint, data and validation data, each by its digest."""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from f2rcli.adapters.checkpoints import find_checkpoint, provenance
from f2rcli.adapters.registry import find_row, load_rows
from f2rcli.results.provenance import software
from f2rcli.results.selection import Selection
from f2rcli.tasks.errors import InputError
from f2rcli.training.given import check_trained, training_task
from f2rcli.training.recipe import Validation

Note = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Base:
    """A checkpoint that training begins with: what it is called where it comes from, its folder, and
    that of an adapter over it."""

    name: str
    folder: Path
    adapter: Path | None = None

    @classmethod
    def find(cls, model: str, adapter: str | None = None) -> "Base":
        """Raises InputError for a model that is no checkpoint of its own, or is not there."""
        row = find_row(model, load_rows())
        if row.kind != "transformers" or "adapter" in row.settings:
            raise InputError(
                f"base {model!r} is no checkpoint of its own",
                fix="`f2r models` lists them; hf:PATH is any",
            )
        name = row.settings["checkpoint"]
        for part in (name, *([adapter] if adapter else [])):
            check_trained(part)
        over = find_checkpoint(adapter, needed="adapter_config.json") if adapter else None
        return cls(name, find_checkpoint(name), over)


@dataclass(frozen=True, slots=True)
class Ingredients:
    """All that a training's result depends on beside its recipe."""

    base: Base
    data: Selection
    validation: Selection

    @classmethod
    def find(
        cls,
        base: str,
        data: str,
        validation: Validation,
        seed: int,
        data_root: Path | None,
        adapter: str | None = None,
    ) -> "Ingredients":
        """Raises InputError for what is not there or is only for testing."""
        found = []
        for spec, limit in ((data, None), (validation.data, validation.requests)):
            task = training_task(spec, data_root)
            found.append(Selection.of(task, limit, seed).with_images())
        return cls(Base.find(base, adapter), *found)

    def described(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Their digests, and beside those where they were found."""
        source = provenance(self.base.folder)
        identity = {
            "base": source["digest"],
            **{
                part: {**selection.identity(), "images": selection.images_digest()}
                for part, selection in (("data", self.data), ("validation", self.validation))
            },
        }
        found = {
            "base": {"name": self.base.name, **source},
            "data": self.data.describe()["task"],
            "validation": self.validation.describe()["task"],
        }
        if self.base.adapter:
            found["adapter"] = provenance(self.base.adapter)
            identity["adapter"] = found["adapter"]["digest"]
        return identity, found


def environment(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {**software(), "device": str(device), "device_name": name}


def check_trackers(trackers: tuple[str, ...], out: Path) -> None:
    """Raises InputError for one that is not installed."""
    for tracker in trackers:
        if importlib.util.find_spec(tracker) is None:
            raise InputError(f"the recipe reports to {tracker}", fix=f"pip install {tracker}")
    if "tensorboard" in trackers:
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(out / "tensorboard"))
