"""Which weights are trained: all of them or an adapter's, with or without the vision tower."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch.nn import Linear
from transformers import PreTrainedModel

from f2rcli.adapters.vlm.loading import Loaded, vision_parts
from f2rcli.tasks.errors import InputError
from f2rcli.training.recipe import Lora


def prepare(loaded: Loaded, lora: Lora | None, name: str, *, freeze_vision: bool) -> Loaded:
    """The model with what is trained marked as such, inside an adapter if there is to be one.

    `name` is what the adapter calls its base. Raises InputError for layers that the model lacks.
    """
    if lora:
        adapted = _with_lora(loaded, lora, freeze_vision)
        adapted.peft_config["default"].base_model_name_or_path = name
        return replace(loaded, model=adapted)
    if freeze_vision:
        for part in vision_parts(loaded.base):
            part.requires_grad_(False)
    return loaded


def _with_lora(loaded: Loaded, lora: Lora, freeze_vision: bool) -> Any:
    from peft import get_peft_model

    with layers_found():
        return get_peft_model(loaded.base, lora_config(loaded, lora, freeze_vision=freeze_vision))


@contextmanager
def layers_found() -> Iterator[None]:
    """Raises InputError where PEFT finds no layer for an adapter."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's, of transformers' next version
            yield
    except ValueError as error:
        raise InputError(f"lora.targets do not fit the model: {error}") from None


def lora_config(loaded: Loaded, lora: Lora, *, freeze_vision: bool) -> Any:
    """The adapter of a recipe in PEFT's words."""
    from peft import LoraConfig

    parts = "|".join(re.escape(_name_of(part, loaded.base)) for part in vision_parts(loaded.base))
    left_out = rf"(?:{parts})\..*" if freeze_vision else None
    every = _linear_layers(loaded.base, left_out) if left_out else "all-linear"
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets) if lora.targets else every,
        exclude_modules=left_out,
        task_type="CAUSAL_LM",
    )


def _linear_layers(base: PreTrainedModel, left_out: str) -> list[str]:
    """Last parts of the names of all linear layers but the output's, whatever the architecture.

    (peft's "all-linear" would also list what is left out again, which other tools stumble over.)
    """
    head: Any = base.get_output_embeddings()  # type: ignore[no-untyped-call]
    output = _name_of(head, base)
    names = [name for name, module in base.named_modules() if isinstance(module, Linear)]
    own = [name.removesuffix(".base_layer") for name in names if ".lora_" not in name]  # of an adapter
    kept = [name for name in own if name != output and not re.fullmatch(left_out, name)]
    return sorted({name.rpartition(".")[2] for name in kept})


def _name_of(wanted: Any, base: PreTrainedModel) -> str:
    names: dict[int, str] = {id(module): name for name, module in base.named_modules()}
    return names[id(wanted)]
