"""A checkpoint's processor: what makes prompts and pictures into tensors."""

import sys
import threading
from pathlib import Path
from typing import Any

from transformers import ProcessorMixin
from transformers.image_utils import SizeDict
from transformers.models.auto.auto_mappings import PROCESSOR_MAPPING_NAMES
from transformers.models.auto.processing_auto import processor_class_from_name

from f2rcli.adapters.checkpoints import unusable
from f2rcli.adapters.vlm.remote import remote_class
from f2rcli.tasks.errors import InputError

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
replaced = threading.local()  # `texts`: what a processor has just written in its pictures' places
MAX_PIXELS = 602_112  # the release's limit: 768 visual tokens of 28 × 28 pixels
SIZES = (  # what image processors call the sizes that they bring a picture to, and the tiles they cut
    "crop_size",
    "crop_to_patches",
    "min_patches",
    "max_patches",
    "image_grid_pinpoints",
    "do_image_splitting",
    "max_image_size",
    "do_pan_and_scan",
    "high_res_size",
)


def load_processor(folder: Path, model_type: str, max_pixels: int | None, *, code: bool = False) -> Any:
    """The checkpoint's processor without its video part, which would need torchvision.

    The image processor is torchvision's or Pillow's, whichever is there; the two differ in the last
    bits, so a run records which one it was. Pixels an image, where the architecture has such a limit:
    the checkpoint's or `max_pixels` (None: the release's), whichever is lower; others bring every
    picture to sizes of their own, and a `max_pixels` is an error. `code` lets the checkpoint's own code
    run. Raises InputError.
    """
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise InputError("no tokenizer in it", where=str(folder), fix="tokenizer.json is missing")
    full = processor_class_from_name(PROCESSOR_MAPPING_NAMES.get(model_type) or "")
    if full is None and code:
        full = remote_class(folder, ("AutoProcessor",))
    if full is None:
        own = ", nor in its own code (AutoProcessor)" if code else ""
        raise InputError(f"no processor is known for {model_type}{own}", where=str(folder))
    try:
        processor: ProcessorMixin = _without_video(full).from_pretrained(folder, trust_remote_code=code)
    except Exception as error:
        raise unusable("processor cannot be loaded", error, folder) from None
    if getattr(processor, "patch_size", ...) is None:
        there = (folder / "processor_config.json").is_file()
        what = "does not say patch_size" if there else "is missing"
        raise InputError(f"processor_config.json {what}", where=str(folder), fix="fetch it again")
    for part in ("image_processor", "tokenizer", "image_token"):
        if getattr(processor, part, None) is None:
            what = f"its processor has no {part}: f2r cannot put pictures into its prompts"
            raise InputError(what, where=str(folder))
    if not processor.chat_template and not processor.tokenizer.chat_template:
        raise InputError(
            "no chat template in it (chat_template.jinja)",
            where=str(folder),
            fix="a base model without one cannot be asked; use its instruct version",
        )
    _limit(processor.image_processor, model_type, max_pixels, folder)
    return processor


def _without_video(full: Any) -> Any:
    """The class of processor without its part for videos, which keeps what it writes for pictures."""
    attributes = [name for name in full.get_attributes() if name != "video_processor"]

    class ImageTextProcessor(full):  # type: ignore[misc]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return attributes

        @classmethod
        def from_args_and_dict(cls, args: Any, processor_dict: Any, **kwargs: Any) -> Any:
            if "video_processor" in full.get_attributes():
                kwargs["video_processor"] = None
            return super().from_args_and_dict(args, processor_dict, **kwargs)

        def _process_images(self, images: Any, **kwargs: Any) -> Any:
            made, replaced.texts = super()._process_images(images, **kwargs)
            return made, replaced.texts

    ImageTextProcessor.__name__ = full.__name__
    module = sys.modules[full.__module__]
    if getattr(module, "num2words", ...) is None:  # SmolVLM's says the length of a video with it
        vars(module)["num2words"] = str
    return ImageTextProcessor


def _limit(image_processor: Any, model_type: str, max_pixels: int | None, folder: Path) -> None:
    size = image_processor.size
    if not has_pixel_limit(image_processor):
        if max_pixels is not None:
            raise InputError(
                f"{model_type} has no limit of pixels: it brings every picture to sizes of its own",
                where=str(folder),
                fix="leave out --max-pixels (max_pixels)",
            )
        return
    longest = min(size["longest_edge"], max_pixels or MAX_PIXELS)
    shortest = min(size["shortest_edge"], longest)
    image_processor.size = {"shortest_edge": shortest, "longest_edge": longest}


def has_pixel_limit(image_processor: Any) -> bool:
    """Whether `size` is in pixels an image, as in Qwen's family, and not in lengths of edges."""
    known = getattr(getattr(type(image_processor), "valid_kwargs", None), "__annotations__", {})
    size = image_processor.size or {}
    return "max_pixels" in known and "shortest_edge" in size and "longest_edge" in size


def sizes_of(processor: Any) -> dict[str, Any]:
    """What decides in which sizes a picture is seen, as applied."""
    image_processor = processor.image_processor
    own = {name: getattr(image_processor, name, None) for name in SIZES}
    asked = getattr(processor, "images_kwargs", {})  # what the processor asks of it besides
    others = own | {name: value for name, value in asked.items() if name in SIZES}
    plain = {k: dict(v) if isinstance(v, SizeDict) else v for k, v in others.items() if v is not None}
    return {**dict(image_processor.size), **plain}
