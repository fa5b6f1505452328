"""Tiny checkpoints of every architecture, and pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest
from short_chats import picture
from tiny_encoders import MADE


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each checkpoint made once."""
    root = tmp_path_factory.mktemp("编码器")
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = MADE[name](root / name)
        return made[name]

    return folder


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Pictures of different shapes, which any processor takes."""
    sizes = [(28, 28), (56, 28), (30, 60)]
    return [picture(tmp_path / f"{i}.png", i, size) for i, size in enumerate(sizes)]
