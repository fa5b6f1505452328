"""The one interface that every encoder is behind, and opening one by its name or its checkpoint."""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from f2rcli.adapters.checkpoints import find_checkpoint
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.similarity import NO_ENCODER

if TYPE_CHECKING:
    from f2rcli.tasks.similarity import Vector

NAMED = {
    "clip-nano": "package:clip-nano",
    "clip-vit-base-patch32": "openai/clip-vit-base-patch32",
}
ARCHITECTURES = {  # model_type of config.json → module and class
    "clip": ("clip", "CLIP"),
    "siglip": ("siglip", "SigLIP"),
    "siglip2": ("siglip", "SigLIP"),
    "blip-2": ("blip2", "BLIP2"),
    "llava_next": ("e5v", "E5V"),
    "qwen2_vl": ("gme", "GME"),
}
SENTENCES = "modules.json"  # what makes a folder one of sentence-transformers


class Embedding(NamedTuple):
    """A vector of length 1 (32-bit), and whether its text was cut to what the encoder reads.

    For a picture it may be several vectors, one a row (see `Encoder.many`).
    """

    vector: Vector
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How a checkpoint is used. Prompts hold `{text}` or `{image}` where it goes; None is the
    architecture's own. `dtype` is for those that are vision-language models; the others are computed
    in 32 bits."""

    device: str | None = None
    dtype: str | None = None
    query_prompt: str | None = None
    text_prompt: str | None = None
    image_prompt: str | None = None


class Encoder(ABC):
    """`name` is what finds it again; `digest` stands for everything that its vectors depend on."""

    name: str
    digest: str
    #: False: it only reads texts
    sees_pictures: bool = True
    #: True: a picture is several vectors; its similarity to a text is that of the nearest
    many: bool = False
    #: False: a query is embedded another way than the text it is compared with
    symmetric: bool = True
    #: so many texts or pictures make a batch
    at_once: int = 64
    #: prompts of `Options` that it has a use for
    takes: tuple[str, ...] = ("query_prompt", "text_prompt")

    @abstractmethod
    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        """One batch."""

    def queries(self, texts: Sequence[str]) -> list[Embedding]:
        """One batch of what is looked for."""
        return self.texts(texts)

    @abstractmethod
    def images(self, files: Sequence[Path]) -> list[Embedding]:
        """One batch. Raises InputError for a file that is no picture."""


def find_encoder(name: str, *, device: str | None = None, fetch: bool = True) -> Encoder:
    """An encoder to measure by, of a name of ours or `hf:PATH`; its weights are loaded when they are
    needed.

    Without `fetch` a checkpoint that is not on this machine is not downloaded. Raises InputError if
    there is no such encoder, or one that has not one vector a picture.
    """
    head, _, tail = name.partition(":")
    if head == "hf" and tail:
        folder = Path(tail).expanduser()
        name = f"hf:{folder.resolve()}" if folder.is_dir() else name
    elif name not in NAMED:
        fix = f"it is {', '.join(NAMED)}, hf:PATH or {NO_ENCODER}"
        raise InputError(f"no encoder {name!r}", fix=fix)
    where = NAMED.get(name) or tail
    found = open_encoder(where, name, Options(device), option="--encoder hf:", fetch=fetch)
    if found.many or not found.sees_pictures:
        what = "has several vectors a picture" if found.many else "sees no pictures"
        fix = "relevance and coherence want one vector a picture: take another --encoder"
        raise InputError(f"the encoder {what}", where=name, fix=fix)
    return found


def open_encoder(
    checkpoint: str, name: str, options: Options, *, option: str = "--model embed:", fetch: bool = True
) -> Encoder:
    """The encoder that a checkpoint's architecture asks for. Raises InputError if there is none for it,
    or if it has no use for one of the prompts."""
    folder = find_checkpoint(checkpoint, option=option, pickled=True, fetch=fetch)
    architecture = _architecture(folder)
    if architecture in ARCHITECTURES:
        module, cls = ARCHITECTURES[architecture]
    elif (folder / SENTENCES).is_file():
        module, cls = "sentences", "Sentences"
    else:
        raise InputError(
            f"{architecture} is no architecture that f2r embeds with",
            where=str(folder),
            fix=f"known are {', '.join(ARCHITECTURES)}, and sentence-transformers' ({SENTENCES})",
        )
    kind: type[Encoder] = getattr(importlib.import_module(f"f2rcli.adapters.encoders.{module}"), cls)
    for prompt in ("query_prompt", "text_prompt", "image_prompt"):
        if getattr(options, prompt) is not None and prompt not in kind.takes:
            raise InputError(f"{cls} has no {prompt}", where=name)
    made: Encoder = kind(name, folder, options)  # type: ignore[call-arg]
    return made


def _architecture(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"config.json cannot be used: {error!r}", where=str(folder)) from None
