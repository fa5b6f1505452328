"""Tiny checkpoints of every supported architecture, made once a session."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
import torch
from short_chats import TEMPLATE
from transformers import Qwen2Tokenizer, Qwen2VLForConditionalGeneration

from f2rcli.adapters.registry import Settings
from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.tags import TAGS
from f2rcli.tasks.types import Request

ARCHITECTURES = {
    "qwen2_vl": tiny.qwen2_vl,
    "qwen2_5_vl": tiny.qwen2_5_vl,
    "qwen3_vl": tiny.qwen3_vl,
}
LoadVLM = Callable[..., VLM]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower, and less predictable, on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", params=ARCHITECTURES)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One checkpoint folder an architecture: a test that takes it runs for each."""
    return ARCHITECTURES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture
def spoilt(tiny_qwen2_vl: Path, tmp_path: Path) -> Path:
    """A copy of a sound checkpoint, for the test to break."""
    return Path(shutil.copytree(tiny_qwen2_vl, tmp_path / "spoilt"))


@pytest.fixture(scope="session")
def load_vlm() -> LoadVLM:
    """Loads a checkpoint folder; keywords are the run's settings."""

    def load_vlm(folder: Path, *, max_new_tokens: int | None = 4, **settings: object) -> VLM:
        chosen = Settings(max_new_tokens=max_new_tokens, **settings)  # type: ignore[arg-type]
        return VLM.load({"checkpoint": str(folder)}, chosen)

    return load_vlm


@pytest.fixture(scope="session")
def example() -> list[Request]:
    """The requests of the shipped example task, with a short prompt, their pictures found."""
    task = load_task("example")
    return [TEMPLATE.apply(task.with_images(request)) for request in task.requests()]


@pytest.fixture(scope="session")
def tagged(tiny_qwen2_vl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose tokenizer has every FFR tag as one special token, as a fine-tuned one has."""
    folder = tmp_path_factory.mktemp("tagged")
    shutil.copytree(tiny_qwen2_vl, folder, dirs_exist_ok=True)
    tokenizer = Qwen2Tokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [*tiny.CONTROL, *TAGS]})
    tokenizer.save_pretrained(folder)
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    return folder
