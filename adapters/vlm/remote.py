"""Code that comes with a checkpoint: run only if the user says so, and only if it is in its folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from f2rcli.tasks.errors import InputError

FILES = ("config.json", "processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
MODELS = (
    "AutoModelForImageTextToText",
    "AutoModelForVision2Seq",
    "AutoModelForCausalLM",
    "AutoModel",
)


def own_code(folder: Path) -> dict[str, str]:
    """What the checkpoint's files say of code of its own: what it is for → `module.Class`.

    Raises InputError for code that lies elsewhere: nothing could say later which it was.
    """
    found: dict[str, str] = {}
    for name in FILES:
        try:
            said = json.loads((folder / name).read_text(encoding="utf-8")).get("auto_map") or {}
        except (OSError, ValueError, AttributeError):
            continue  # whoever loads it says what is wrong with it
        if isinstance(said, dict):
            found |= {kind: place for kind, place in said.items() if isinstance(place, str)}
    if elsewhere := sorted({place for place in found.values() if "--" in place}):
        raise InputError(
            f"the code that it needs lies in another repository ({elsewhere[0].partition('--')[0]})",
            where=str(folder),
            fix="copy its *.py files into the checkpoint's folder, and take the name out of auto_map",
        )
    return found


def remote_class(folder: Path, kinds: Sequence[str]) -> Any:
    """The first class of these kinds that the checkpoint's own code has, or None."""
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    said = own_code(folder)
    place = next((said[kind] for kind in kinds if kind in said), None)
    if place is None:
        return None
    try:
        return get_class_from_dynamic_module(place, str(folder), local_files_only=True)
    except Exception as error:  # whatever a stranger's code does
        line = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"its own code does not work here ({line[:300]})", where=str(folder)) from None
