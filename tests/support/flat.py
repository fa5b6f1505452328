"""An encoder of two dimensions whose vectors are known, and which counts what it was asked."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from f2rcli.adapters.encoders.encoder import Embedding, Encoder


def at(degrees: float, length: float = 1.0) -> np.ndarray:
    """The vector in this direction; the cosine of two is that of the angle between them."""
    angle = math.radians(degrees)
    return length * np.array([math.cos(angle), math.sin(angle)], np.float32)


class Flat(Encoder):
    """Texts point where `angle` says (by default, by their length); every picture to 90 degrees."""

    def __init__(
        self, digest: str = "平面", angle: Callable[[str], float] = len, longest: int = 1000
    ) -> None:
        self.name = f"flat {digest}"
        self.digest = digest
        self.angle = angle
        self.longest = longest
        self.read: list[str] = []
        self.seen: list[str] = []

    def texts(self, texts: Sequence[str]) -> list[Embedding]:
        self.read += texts
        return [Embedding(at(self.angle(text)), len(text) > self.longest) for text in texts]

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        self.seen += [file.name for file in files]
        return [Embedding(at(90)) for _ in files]
