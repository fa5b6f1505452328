"""Fine-tuning of other architectures than Qwen's goes through the same code, or is refused in a line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from recipes import LORA
from safetensors.torch import load_file

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request

Train = Callable[..., Path]
SMALL = {**LORA, "freeze_vision": True, "length.max_pixels": None, "loop.steps": 2}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("ovis2", "gemma3")]


@pytest.mark.parametrize("name", ["internvl", "smolvlm", *SLOW])
def test_lora_trains_the_language_model_alone(
    train_tiny: Train,
    families: Callable[[str], Path],
    load_vlm: Callable[..., VLM],
    asked: list[Request],
    name: str,
) -> None:
    base = families(name)
    folder = train_tiny(base=base, **SMALL)
    adapter = load_file(folder / "checkpoint/adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for key, weight in adapter.items() if "lora_B" in key)
    assert all(".language_model." in key or ".text_model." in key for key in adapter)
    vlm = load_vlm(base, folder / "checkpoint")
    assert all(answer.text is not None for answer in vlm.retrieve(asked[:1]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("llava", "ends an answer with no token at which generation stops"),
        ("llava_onevision", "does not write an answer straight behind the prompt"),
    ],
)
def test_a_template_from_which_nothing_can_be_learnt_is_refused(
    train_tiny: Train, families: Callable[[str], Path], name: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        train_tiny(base=families(name), **SMALL)


def test_a_limit_of_pixels_is_left_out_where_there_is_none(
    train_tiny: Train, families: Callable[[str], Path]
) -> None:
    with pytest.raises(InputError, match="internvl has no limit of pixels"):
        train_tiny(base=families("internvl"), **{**SMALL, "length.max_pixels": 3136})
