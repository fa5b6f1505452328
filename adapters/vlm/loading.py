"""A checkpoint folder as a model and a processor, or a clear line that says why not."""

import copy
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
    ProcessorMixin,
)
from transformers.models.auto.auto_mappings import PROCESSOR_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.models.auto.processing_auto import processor_class_from_name

from f2rcli.tasks.errors import InputError

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Loaded:
    """`model` is what generates (a PEFT wrapper with an adapter); `base` the transformers model."""

    model: Any
    base: PreTrainedModel
    processor: Any
    generation: GenerationConfig


def choose_device(device: str | None) -> str:
    """`auto` spreads the weights over all GPUs; None takes one GPU if there is one."""
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "auto":
        return device
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        line = str(error).splitlines()[0]
        raise InputError(f"no device {device!r}: {line}", fix="cpu always works") from None
    return device


def load(folder: Path, adapter: Path | None, dtype: str, device: str, max_pixels: int) -> Loaded:
    """Raises InputError for a checkpoint whose architecture, weights or processor do not fit."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = _config(folder)
    choice = _dtype(dtype, device)
    try:
        found: Any = AutoModelForImageTextToText.from_pretrained(
            folder,
            config=config,
            dtype=choice,
            device_map=device,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # to name them below
            output_loading_info=True,
        )
    except Exception as error:  # a faulty file makes its reader raise anything
        raise InputError(f"cannot be loaded: {error}", where=str(folder)) from None
    base, info = found
    if lacking := sorted([*info["missing_keys"], *info["mismatched_keys"]], key=str):
        raise InputError(  # transformers would fill them with random numbers
            f"{len(lacking)} weights are missing or of another shape, such as {lacking[0]}",
            where=str(folder),
            fix="fetch the checkpoint again, or check that config.json belongs to it",
        )
    base.eval()
    model = _with_adapter(base, adapter) if adapter else base
    processor = load_processor(folder, config.model_type, max_pixels)
    return Loaded(model, base, processor, _generation(folder, base))


def vision_tower(base: PreTrainedModel) -> torch.nn.Module:
    """What turns pictures into visual tokens, its projector included."""
    tower: torch.nn.Module | None = getattr(base.model, "visual", None)
    if tower is None:
        raise InputError(
            f"the input audit has no place to listen in a {base.config.model_type}",
            fix="supported are Qwen2-VL, Qwen2.5-VL and Qwen3-VL",
        )
    return tower


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
        what = f"generation_config.json cannot be used: {error}"
        raise InputError(what, where=str(folder)) from None


def _config(folder: Path) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise InputError(f"config.json cannot be used: {error}", where=str(folder)) from None
    if config.model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
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
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"does not fit the base: {line}", where=str(folder)) from None
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


def load_processor(folder: Path, model_type: str, max_pixels: int) -> Any:
    """The checkpoint's processor without its video part, which would need torchvision.

    The image processor is torchvision's or Pillow's, whichever is there; the two differ in the last
    bits, so a run records which one it was. Pixels an image: the checkpoint's limit or `max_pixels`,
    whichever is lower.
    """
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise InputError("no tokenizer in it", where=str(folder), fix="tokenizer.json is missing")
    full = processor_class_from_name(PROCESSOR_MAPPING_NAMES.get(model_type) or "")
    if full is None:
        raise InputError(f"no processor is known for {model_type}", where=str(folder))
    attributes = [name for name in full.get_attributes() if name != "video_processor"]

    class ImageTextProcessor(full):  # type: ignore[misc, valid-type]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return attributes

    ImageTextProcessor.__name__ = full.__name__
    try:
        processor: ProcessorMixin = ImageTextProcessor.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise InputError(f"processor cannot be loaded: {error}", where=str(folder)) from None
    if not processor.chat_template and not processor.tokenizer.chat_template:
        raise InputError(
            "no chat template in it (chat_template.jinja)",
            where=str(folder),
            fix="a base model without one cannot be asked; use its instruct version",
        )
    try:
        hello: Any = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
        processor.apply_chat_template(hello, tokenize=False, add_generation_prompt=True)
    except Exception as error:
        raise InputError(f"its chat template does not work: {error}", where=str(folder)) from None
    size = processor.image_processor.size
    if "longest_edge" in size:
        longest = min(size["longest_edge"], max_pixels)
        shortest = min(size["shortest_edge"], longest)
        processor.image_processor.size = {"shortest_edge": shortest, "longest_edge": longest}
    return processor
