"""Which weights are trained: the tower left alone, adapters as an evaluation loads them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from recipes import LORA
from safetensors.torch import load_file

from f2rcli.adapters.checkpoints import folder_digest
from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request

Train = Callable[..., Path]
LoadVLM = Callable[..., VLM]
WEIGHTS = "checkpoint/model.safetensors"
ADAPTER = "checkpoint/adapter_model.safetensors"
KINDS = ["qwen2_vl", "qwen2_vl_2b", "qwen2_5_vl", "qwen3_vl"]


def test_a_frozen_vision_tower_stays_as_it_is(train_tiny: Train, tiny_qwen2_vl: Path) -> None:
    folder = train_tiny(freeze_vision=True)
    before, after = load_file(tiny_qwen2_vl / "model.safetensors"), load_file(folder / WEIGHTS)
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("visual.")} == same


def test_an_output_that_is_the_embedding_stays_it(
    train_tiny: Train, load_vlm: LoadVLM, tmp_path: Path, asked: list[Request]
) -> None:
    base = tiny.qwen2_vl_2b(tmp_path / "2b")
    folder = train_tiny(base=base)
    before, after = load_file(base / "model.safetensors"), load_file(folder / WEIGHTS)
    assert before.keys() == after.keys()
    assert not torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])
    trained = load_vlm(folder / "checkpoint").base
    assert torch.equal(trained.get_output_embeddings().weight, after["model.embed_tokens.weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_lora_leaves_an_adapter_and_the_base_alone(
    train_tiny: Train, load_vlm: LoadVLM, tmp_path: Path, asked: list[Request], kind: str
) -> None:
    """The published recipes' ways: bfloat16, gradient checkpointing, the vision tower frozen."""
    base = getattr(tiny, kind)(tmp_path / kind)
    digest = folder_digest(base)
    published = {
        "precision": "bfloat16",
        "loop.gradient_checkpointing": True,
        "freeze_vision": True,
        "loop.accumulation": 2,
    }
    folder = train_tiny(base=base, **LORA, **published)
    assert folder_digest(base) == digest
    adapter = load_file(folder / ADAPTER)
    assert adapter
    assert not any("visual" in name for name in adapter)
    assert any(weight.abs().max() > 0 for name, weight in adapter.items() if "lora_B" in name)
    targets = json.loads((folder / "checkpoint/adapter_config.json").read_text())["target_modules"]
    layers = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert set(targets) == layers
    kept = {file.name for file in (folder / "checkpoint").iterdir()}
    assert kept == {"adapter_config.json", "adapter_model.safetensors"}  # no template of a card
    vlm = load_vlm(base, folder / "checkpoint")
    assert all(answer.text is not None for answer in vlm.retrieve(asked[:1]))


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_computes_layers_again_and_changes_nothing(
    train_tiny: Train, tmp_path: Path, attended: list[str], kind: str, frozen: bool
) -> None:
    base = getattr(tiny, kind)(tmp_path / kind)
    ways = {**LORA, "freeze_vision": frozen, "loop.steps": 2}

    adapters, counts = [], []
    for again in (False, True):
        attended.clear()
        folder = train_tiny(f"{again}", base=base, **ways, **{"loop.gradient_checkpointing": again})
        adapters.append(load_file(folder / ADAPTER))
        counts.append(len(attended))
    assert counts[1] == 2 * counts[0] > 0
    kept, computed = adapters
    assert all(torch.equal(computed[name], weight) for name, weight in kept.items())
    assert any("visual" in name for name in kept) == (not frozen)


def test_lora_targets_that_are_not_there_are_refused(train_tiny: Train) -> None:
    with pytest.raises(InputError, match=r"lora\.targets do not fit"):
        train_tiny(**LORA, **{"lora.targets": ["nonesuch"]})
