"""Loading what encoders are made of, with one clear line for whatever does not fit.

torch is imported by what computes: embeddings that are all on disk need no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2rcli.adapters.checkpoints import check_weights, folder_digest, hush, unusable
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import digest

if TYPE_CHECKING:
    import torch


def device_of(asked: str | None) -> str:
    """One device: an encoder is never spread over several."""
    from f2rcli.adapters.vlm.loading import choose_device

    return choose_device(None if asked == "auto" else asked)


def dtype_of(asked: str | None, device: str) -> str:
    """A name of `DTYPES`, or `auto`: the checkpoint's own. Raises InputError for any other."""
    from f2rcli.adapters.vlm.loading import DTYPES

    if asked in (None, "auto"):  # CPUs are slow or wrong in half precision
        return "float32" if device == "cpu" else "auto"
    if asked not in DTYPES:
        raise InputError(f"no dtype {asked!r}", fix=f"it is auto, {', '.join(DTYPES)}")
    return str(asked)


def vectors_digest(folder: Path, *, deep: bool = False, **used: str | None) -> str:
    """Stands for a checkpoint's files and for how they are used, where that is not the plain way."""
    files, how = folder_digest(folder, deep=deep), {k: v for k, v in used.items() if v is not None}
    return digest([files, how]) if how else files


def load_model(folder: Path, model_class: Any, device: str, dtype: str = "float32") -> Any:
    """Raises InputError for weights that are missing, of another shape or of another architecture."""
    from f2rcli.adapters.vlm.loading import DTYPES

    hush()
    try:
        found: Any = model_class.from_pretrained(
            folder,
            dtype=DTYPES.get(dtype, dtype),
            use_safetensors=any(folder.glob("*.safetensors")),
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # to be named below
            output_loading_info=True,
        )
    except Exception as error:  # a faulty file makes its reader raise anything
        raise unusable("cannot be loaded", error, folder) from None
    model, info = found
    check_weights(info, folder)
    return model.eval().to(device)


def load_tokenizer(folder: Path) -> Any:
    """Raises InputError if there is none, or a faulty one."""
    from transformers import AutoTokenizer

    from f2rcli.adapters.vlm.processor import TOKENIZERS

    hush()
    if not any((folder / name).is_file() for name in TOKENIZERS):  # or it would be an empty one
        raise InputError("no tokenizer in it", where=str(folder))
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise unusable("its tokenizer cannot be loaded", error, folder) from None


def load_image_processor(folder: Path, processor_class: Any) -> Any:
    """Through Pillow, also where torchvision is there: the two differ in the last bits."""
    try:
        return processor_class.from_pretrained(folder)
    except Exception as error:
        raise unusable("its image processor cannot be loaded", error, folder) from None


def unit_rows(found: torch.Tensor, folder: Path) -> Any:
    """… × dimensions as 32-bit NumPy, every vector of length 1. Raises InputError for one that has no
    direction."""
    import torch

    rows = torch.nn.functional.normalize(found.float(), dim=-1).cpu().numpy()
    if not (abs(np.square(rows).sum(-1) - 1) < 1e-3).all():  # also of what is not a number
        raise InputError("gives vectors without a direction", where=str(folder))
    return rows


def lengths(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Tokens of every text, however many the model reads."""
    return [len(ids) for ids in tokenizer(list(texts), verbose=False)["input_ids"]]


def plain(tokenizer: Any, text: str) -> str:
    """Text in which no control token of the tokenizer stands: somebody who types `</s>` or the
    placeholder of a picture ends nothing and shifts nothing."""
    control = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    longest_first = sorted((token for token in control if len(token) > 1), key=len, reverse=True)
    if not longest_first:
        return text
    pattern = "|".join(map(re.escape, longest_first))
    return re.sub(pattern, lambda token: f"{token[0][0]} {token[0][1:]}", text)
