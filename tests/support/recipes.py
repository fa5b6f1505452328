"""Recipes for tests: the shipped nano's, made small, with changes by dotted keys."""

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

SMALL = {
    "seed": 1,
    "save_as": "float32",
    "optimiser.learning_rate": 1e-2,
    "optimiser.weight_decay": 0.0,
    "loop.epochs": None,
    "loop.steps": 6,
    "loop.batch_size": 2,
    "loop.accumulation": 1,
    "loop.save_every": 2,
    "loop.log_every": 3,
    "validation.requests": 2,
    "validation.every": 4,
}
LORA = {"method": "lora", "lora.rank": 2, "lora.alpha": 4, "lora.dropout": 0.1}


SMALL_GRPO = {
    "seed": 1,
    "save_as": "float32",
    "curriculum": None,
    "encoder": None,
    "lora.rank": 2,
    "optimiser.learning_rate": 1e-2,
    "sampling.completions": 4,
    "sampling.max_tokens": 6,
    "rewards.order_similarity": None,
    "loop.steps": 6,
    "loop.epochs": None,
    "loop.prompts": 2,
    "loop.redraws": 1,
    "loop.save_every": 2,
    "loop.log_every": 3,
    "validation.requests": 2,
    "validation.every": 4,
}


def write_recipe(path: Path, base: Path | str, data: Path | str, **changes: Any) -> Path:
    """A recipe file of SFT; a change to None leaves its key out."""
    return _write("nano-sft", path, base, data, {**SMALL, **changes})


def write_grpo(path: Path, base: Path | str, data: Path | str, **changes: Any) -> Path:
    return _write("nano-grpo", path, base, data, {**SMALL_GRPO, **changes})


def _write(
    shipped: str, path: Path, base: Path | str, data: Path | str, changes: dict[str, Any]
) -> Path:
    file = resources.files("f2rcli.training").joinpath(f"recipes/{shipped}.toml")
    table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    named = {"base": f"hf:{base}" if isinstance(base, Path) else base, "data": str(data)}
    for key, value in {**named, "validation.data": str(data), **changes}.items():
        *above, last = key.split(".")
        place = table
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
        if value is None:
            del place[last]
    path.write_text(_toml(table), encoding="utf-8")
    return path


def _toml(table: dict[str, Any]) -> str:
    flat = [f"{k} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, dict)]
    tables = [f"[{name}]\n{_toml(part)}" for name, part in table.items() if isinstance(part, dict)]
    return "\n".join([*flat, *tables, ""])
