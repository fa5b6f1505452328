"""What the tests of training share: a small task with real pictures, and trainings of tiny models."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import handmade
import pytest
import torch
from recipes import write_recipe
from short_chats import picture
from torch.nn.modules.module import register_module_forward_pre_hook

from f2rcli.adapters.registry import Settings
from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.types import Request
from f2rcli.training.recipe import SftRecipe, load_recipe
from f2rcli.training.sft import train

Train = Callable[..., Path]
LoadVLM = Callable[..., VLM]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the tester's environment; one thread, so that sums are always added in one order."""
    monkeypatch.delenv("F2R_DATA", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chats with three and two queries, five turns each, one of them with pictures."""
    folder = tmp_path_factory.mktemp("数据")
    first = handmade.chat("露营", 5, {"帐篷": [1, 2], "蛋糕": [3], "没有": []}, pictures=(2, 4))
    second = handmade.chat("面馆", 5, {"面": [0, 1], "猫": [4]}, pictures=())
    file = handmade.write_chats(folder, first, second)
    for number, path in enumerate(sorted((folder / "图片").iterdir())):
        picture(path, seed=number)
    return file


@pytest.fixture(scope="session")
def asked(chats: Path) -> list[Request]:
    task = load_task(str(chats))
    return [task.with_images(request) for request in task.requests()]


@pytest.fixture
def train_tiny(tiny_qwen2_vl: Path, chats: Path, tmp_path: Path) -> Train:
    """Trains the tiny checkpoint on the chats, with changes of the recipe; gives the folder."""

    def run(out: str = "training", base: Path = tiny_qwen2_vl, **changes: Any) -> Path:
        notes: Callable[[str], None] = changes.pop("note", lambda line: None)
        data = changes.pop("data", chats)
        file = write_recipe(tmp_path / "recipe.toml", base, data, **changes)
        train(load_recipe(str(file), SftRecipe), tmp_path / out, device="cpu", note=notes)
        return tmp_path / out

    return run


@pytest.fixture
def attended() -> Iterator[list[str]]:
    """An entry for every time that a language model's attention is computed while it is trained."""
    calls: list[str] = []

    def note(module: torch.nn.Module, _: object) -> None:
        name = type(module).__name__
        if module.training and name.endswith("Attention") and "Vision" not in name:
            calls.append(name)

    with register_module_forward_pre_hook(note):
        yield calls


@pytest.fixture(scope="session")
def load_vlm() -> LoadVLM:
    """Loads a checkpoint folder, and an adapter over it, as an evaluation does."""

    def load_vlm(folder: Path, adapter: Path | None = None) -> VLM:
        settings = Settings(adapter=str(adapter) if adapter else None, dtype="float32", device="cpu")
        return VLM.load({"checkpoint": str(folder)}, settings)

    return load_vlm


@pytest.fixture(scope="session")
def vlm(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> VLM:
    return load_vlm(tiny_qwen2_vl)
