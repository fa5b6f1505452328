"""The one interface that every image-text encoder is behind, and finding one by its name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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


class Embedding(NamedTuple):
    """A vector of length 1 (32-bit), and whether its text was cut to what the encoder reads."""

    vector: Vector
    cut: bool = False


class Encoder(ABC):
    """`name` is what finds it again; `digest` stands for everything that its vectors depend on."""

    name: str
    digest: str

    @abstractmethod
    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        """One batch."""

    @abstractmethod
    def images(self, files: Sequence[Path]) -> list[Embedding]:
        """One batch. Raises InputError for a file that is no picture."""


def find_encoder(name: str, *, device: str | None = None, fetch: bool = True) -> Encoder:
    """An encoder by a name of ours or `hf:PATH`; its weights are loaded when they are needed.

    Without `fetch` a checkpoint that is not on this machine is not downloaded. Raises InputError if
    there is no such encoder.
    """
    head, _, tail = name.partition(":")
    if head == "hf" and tail:
        folder = Path(tail).expanduser()
        name = f"hf:{folder.resolve()}" if folder.is_dir() else name
    elif name not in NAMED:
        fix = f"it is {', '.join(NAMED)}, hf:PATH or {NO_ENCODER}"
        raise InputError(f"no encoder {name!r}", fix=fix)
    from f2rcli.adapters.encoders.clip import CLIP

    where = NAMED.get(name) or tail
    found = find_checkpoint(where, option="--encoder", pickled=True, fetch=fetch)
    return CLIP(name, found, device)
