"""Trained weights as an ordinary checkpoint folder."""

import json
import shutil
from pathlib import Path
from typing import Any

from f2rcli.adapters.checkpoints import WANTED
from f2rcli.adapters.vlm.loading import DTYPES, Loaded
from f2rcli.results.writing import write_json

NOT_COPIED = (".safetensors", ".safetensors.index.json", "trainer_state.json")  # a base may be a state
PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def write_checkpoint(loaded: Loaded, base: Path, save_as: str, folder: Path) -> None:
    """The final weights in their storage precision; of an adapted model only the adapter's.

    Converts the model itself: nothing can be trained after it.
    """
    loaded.model.to(DTYPES[save_as])
    if loaded.model is loaded.base:
        loaded.model.save_pretrained(folder)
        complete(folder, base, loaded, save_as)
    else:
        write_adapter(loaded.model, "default", folder)


def write_adapter(model: Any, name: str, folder: Path) -> None:
    """One of a PEFT model's adapters. Not PEFT's template of a card, which has paths of this machine."""
    # no embeddings: PEFT would look on the hub whether the base has others
    model.save_pretrained(folder, selected_adapters=[name], save_embedding_layers=False)
    (folder / "README.md").unlink()
    if (folder / name).is_dir():  # where PEFT puts all but the first
        for file in (folder / name).iterdir():
            file.rename(folder / file.name)
        (folder / name).rmdir()


def complete(folder: Path, base: Path, loaded: Loaded, dtype: str) -> None:
    """Make saved weights a checkpoint like its base: everything but the weights is the base's own.

    (Training changes neither architecture nor vocabulary, but libraries set fields of their own in
    the configurations that they save.) Only the dtype differs, and the pixels an image if the recipe
    has fewer, so that an evaluation sees pictures as the training did.
    """
    for file in {file for pattern in WANTED for file in base.glob(pattern)}:
        if not file.name.endswith(NOT_COPIED):
            shutil.copyfile(file, folder / file.name)
    _edit(folder / "config.json", {"dtype": dtype}, drop=("torch_dtype",))
    for file in (folder / name for name in PROCESSORS if (folder / name).is_file()):
        size = dict(loaded.processor.image_processor.size)
        _edit(file, {"size": size}, drop=("min_pixels", "max_pixels"), inside="image_processor")


def _edit(file: Path, values: dict[str, Any], drop: tuple[str, ...], inside: str = "") -> None:
    config = json.loads(file.read_text(encoding="utf-8"))
    part = config.get(inside, config)
    for key in drop:
        part.pop(key, None)
    part.update(values)
    write_json(file, config)
