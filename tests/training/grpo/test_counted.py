"""The counting of docs/reproduce/grpo_counted.py against what torch counts in the code itself."""

import copy
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from f2rcli.tasks.types import Request
from f2rcli.training.grpo.recipe import Sampling
from f2rcli.training.grpo.rollout import roll_out
from f2rcli.training.grpo.scoring import log_probabilities

Open = Callable[..., Any]
SCRIPT = Path(__file__).parents[3] / "docs/reproduce/grpo_counted.py"
COMPLETIONS = [[5, 9, 200, 31, 7, 8]] * 4
BRANCHES = 4 * 5
RANK = 3


@pytest.fixture(scope="module")
def counted() -> Any:
    spec = importlib.util.spec_from_file_location("grpo_counted", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shape(counted: Any, setting: Any) -> Any:
    """Of the tiny checkpoint."""
    return counted.Shape(
        hidden=32,
        layers=2,
        heads=2,
        kv_heads=1,
        intermediate=64,
        vocabulary=setting.loaded.base.config.text_config.vocab_size,
        vision_hidden=32,
        vision_layers=2,
        vision_ratio=2,
    )


def flop(work: Callable[[], Any]) -> tuple[int, Any]:
    """Of matrix products, attention's as such, and what the work returns."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        made = work()
    return counter.get_total_flops(), made


def test_weights(counted: Any, shape: Any, setting: Any) -> None:
    adapter = sum(weight.numel() for weight in setting.adapter.values())
    assert shape.adapter(RANK) == adapter
    assert shape.weights() == sum(weight.numel() for weight in setting.model.parameters()) - adapter
    assert counted.Shape().weights() == 8_291_375_616  # of the published checkpoint


def test_pictures(shape: Any, setting: Any, pictured: Request) -> None:
    spent, _ = flop(lambda: setting.encode(pictured))
    assert spent == pytest.approx(shape.vision_flop(pictures=3, patches=16), rel=0.01)


def test_a_rollout(counted: Any, shape: Any, setting: Any, spoken: Request) -> None:
    prompt = setting.encode(spoken)
    sampling = Sampling(completions=4, temperature=1.0, top_p=1.0, top_k=0, max_tokens=6)
    spent, _ = flop(lambda: roll_out(setting.model, prompt, sampling, {-1}, 0))
    step = counted.Step(prompt.length, pictures=0, patches=0, group=4, tokens=6, rank=RANK)
    parts = step.flop(shape, shared=True)
    skipped = shape.seen(prompt.length**2 / 2)  # half of the square, which torch counts whole
    expected = parts["rollout, prompt"] + skipped + parts["rollout, completions"]
    assert spent == pytest.approx(expected, rel=0.01)


def test_scoring(counted: Any, shape: Any, setting: Any, pictured: Request) -> None:
    """Reference, then the policy there and back with checkpointed layers."""
    setting.loaded.base.enable_input_require_grads()  # or the first layer has less to do than others
    setting.loaded.base.activation_checkpointing_enable({"use_reentrant": False})
    setting.model.train()
    prompt = setting.encode(pictured)
    step = counted.Step(prompt.length, pictures=3, patches=16, group=4, tokens=6, rank=RANK)
    parts = step.flop(shape, shared=True)

    def score() -> torch.Tensor:
        return torch.cat(log_probabilities(setting.model, prompt, COMPLETIONS, 1.0).log_probs).sum()

    with torch.no_grad(), setting.model.disable_adapter():
        spent, _ = flop(score)
    assert spent == pytest.approx(parts["reference"], rel=0.01)
    spent, total = flop(score)
    assert spent == pytest.approx(parts["policy, forward"], rel=0.01)
    spent, _ = flop(total.backward)
    assert spent == pytest.approx(parts["policy, computed again and backward"], rel=0.01)


@pytest.mark.parametrize("masked", [False, True])
def test_what_a_layer_keeps(shape: Any, setting: Any, masked: bool) -> None:
    """In bfloat16 under an adapter in float32. (Dropout keeps its mask in another type on a CPU.)"""
    places, config = 48, copy.deepcopy(setting.loaded.base.config)
    text = config.text_config  # keys of one head alone would be repeated without a copy
    text.num_attention_heads, text.num_key_value_heads = 4, 2
    text.rope_parameters["mrope_section"] = [1, 1, 2]
    shape = replace(shape, heads=4, kv_heads=2)
    base = type(setting.loaded.base)(config).to(torch.bfloat16)
    get_peft_model(base, setting.model.peft_config["default"])
    inside = base.model.language_model
    given = torch.randn(1, places, 32, dtype=torch.bfloat16, requires_grad=True)
    around = inside.rotary_emb(given, torch.arange(places).expand(3, 1, -1))
    mask = torch.ones(1, 1, places, places, dtype=torch.bool).tril() if masked else None
    outside = {each.untyped_storage().data_ptr() for each in (given, *around, *inside.parameters())}
    outside |= {mask.untyped_storage().data_ptr()} if mask is not None else set()
    kept: dict[int, tuple[int, torch.Tensor]] = {}  # the tensor, so that its place is not used again

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in outside and tensor.numel() > 1:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        inside.layers[0](given, attention_mask=mask, position_embeddings=around)
    spent = sum(count for count, _ in kept.values())
    square = 2 * places**2 if masked else 0  # the mask as a bias, counted for itself
    expected = shape.layer_bytes(places, RANK, masked=masked, dropout=False) + square
    assert spent == pytest.approx(expected, rel=0.02)
