"""A checkpoint folder as a model and a processor, or a clear line that says why not."""

import copy
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    GenerationConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN,
)

from f2rcli.adapters.checkpoints import check_weights, hush, unusable
from f2rcli.adapters.vlm.processor import load_processor
from f2rcli.adapters.vlm.remote import MODELS, own_code, remote_class
from f2rcli.tasks.errors import InputError, cut

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Loaded:
    """`model` is what generates (a PEFT wrapper with an adapter); `base` the transformers model.

    `code` is whether code of the checkpoint's own was run.
    """

    model: Any
    base: PreTrainedModel
    processor: Any
    generation: GenerationConfig
    code: bool = False


def choose_device(device: str | None) -> str:
    """`auto` spreads the weights over all GPUs; None takes one GPU if there is one.

    In one of several processes, None and `cuda` are a GPU of its own (shared, if there are too few).
    """
    if device in (None, "cuda") and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        own = int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()
        torch.cuda.set_device(own)  # also of whatever only says `cuda`
        return f"cuda:{own}"
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "auto":
        return device
    try:
        nothing = torch.empty(0, device=device).is_meta and "tensors there have no values"
    except (RuntimeError, AssertionError) as error:
        nothing = cut(error)
    if nothing:
        raise InputError(f"no device {device!r}: {nothing}", fix="cpu always works")
    return device


def load(
    folder: Path,
    adapter: Path | None,
    dtype: str,
    device: str,
    max_pixels: int | None = None,
    *,
    trust_code: bool = False,
) -> Loaded:
    """Raises InputError for a checkpoint whose architecture, weights or processor do not fit.

    `trust_code` lets code run that comes with the checkpoint, where transformers has none of its own.
    """
    hush()
    config = _config(folder, trust_code)
    code = config.model_type not in KNOWN
    choice = _dtype(dtype, device)
    processor = load_processor(folder, config.model_type, max_pixels, code=code)
    cls = remote_class(folder, MODELS) if code else AutoModelForImageTextToText
    if not hasattr(cls, "from_pretrained"):
        raise InputError(f"its own code has none of {', '.join(MODELS)}", where=str(folder))
    try:
        found: Any = cls.from_pretrained(
            folder,
            config=config,
            dtype=choice,
            device_map=device,
            use_safetensors=True,
            trust_remote_code=code,
            ignore_mismatched_sizes=True,  # to name them below
            output_loading_info=True,
        )
    except Exception as error:  # a faulty file makes its reader raise anything
        raise unusable("cannot be loaded", error, folder) from None
    base, info = found
    check_weights(info, folder)
    base.eval()
    model = _with_adapter(base, adapter) if adapter else base
    return Loaded(model, base, processor, _generation(folder, base), code)


def vision_parts(base: PreTrainedModel) -> list[torch.nn.Module]:
    """What turns pictures into visual tokens: all of the model but its language model."""
    language: Any = base.get_decoder()  # type: ignore[no-untyped-call]
    parts: dict[str, torch.nn.Module] = dict(base.base_model.named_children())
    beside = [part for part in parts.values() if language not in part.modules()]
    if language is base or len(beside) == len(parts):
        raise InputError(f"{base.config.model_type} has no language model that stands by itself")
    return beside


def _generation(folder: Path, base: PreTrainedModel) -> GenerationConfig:
    """The checkpoint's generation config; an unreadable one is an error, not the defaults."""
    if not (folder / "generation_config.json").is_file():
        return copy.deepcopy(base.generation_config)
    try:
        generation: GenerationConfig = GenerationConfig.from_pretrained(folder)
        ends = generation.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        if not all(end is None or type(end) is int for end in ends):
            raise ValueError(f"eos_token_id {generation.eos_token_id!r} is no token's number")
        return generation
    except Exception as error:
        raise unusable("generation_config.json cannot be used", error, folder) from None


def _config(folder: Path, trust_code: bool) -> Any:
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        foreign = model_type not in KNOWN and own_code(folder)
    except (ValueError, KeyError, TypeError):
        foreign = {}  # transformers says below what is wrong
    if foreign and not trust_code:
        raise InputError(
            f"{model_type} is not in transformers {transformers.__version__}: code of this folder would "
            f"be run ({', '.join(sorted(set(foreign.values())))})",
            where=str(folder),
            fix="--trust-remote-code runs it, if you trust its authors",
        )
    try:
        own = remote_class(folder, ("AutoConfig",)) if foreign else None
        config = (own or AutoConfig).from_pretrained(folder)
    except InputError:
        raise
    except Exception as error:
        raise unusable("config.json cannot be used", error, folder) from None
    if not foreign and config.model_type not in KNOWN:
        raise InputError(
            f"{config.model_type} is no vision-language architecture of "
            f"transformers {transformers.__version__}",
            where=str(folder),
        )
    return config


def _dtype(name: str, device: str) -> Any:
    if name == "auto":  # CPUs are slow or wrong in half precision
        return torch.float32 if device == "cpu" else "auto"
    if name not in DTYPES:
        raise InputError(f"no dtype {name!r}", fix=f"it is auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _with_adapter(base: PreTrainedModel, folder: Path) -> Any:
    """The adapter on top of its base, not merged into it, so that it computes what was trained."""
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PEFT warns of is an error below
            model = PeftModel.from_pretrained(base, folder).eval()
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            there = set(file.keys())
    except Exception as error:
        raise unusable("does not fit the base", error, folder) from None
    # PEFT would look a name up on the hub, to see whether the base's vocabulary was another
    model.peft_config["default"].base_model_name_or_path = None
    wanted = set(get_peft_model_state_dict(model))
    if odd := sorted(there ^ wanted):  # PEFT leaves out what does not fit, and goes on
        raise InputError(
            f"{len(there - wanted)} weights have no place in the base and {len(wanted - there)} are "
            f"missing, such as {odd[0]}",
            where=str(folder),
            fix="is it an adapter of another base?",
        )
    return model
