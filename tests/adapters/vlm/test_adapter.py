"""A LoRA adapter over its base: it is used, recorded, and refused where it does not fit."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from short_chats import request
from transformers import AutoModelForImageTextToText

from f2rcli.adapters.checkpoints import folder_digest
from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError

LoadVLM = Callable[..., VLM]
WEIGHTS = "adapter_model.safetensors"
ASKED = [request("你好", "猫走丢了", id="a"), request("去哪里吃面", query="面馆", id="b")]


@pytest.fixture(scope="module")
def adapter(tiny_qwen2_vl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of random weights, which is certain to change answers."""
    torch.manual_seed(1)
    base = AutoModelForImageTextToText.from_pretrained(tiny_qwen2_vl)
    chosen = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapter")
    get_peft_model(base, chosen).save_pretrained(folder)
    return folder


@pytest.fixture
def broken(adapter: Path, tmp_path: Path) -> Path:
    """A copy of the adapter, for the test to break."""
    return Path(shutil.copytree(adapter, tmp_path / "broken"))


def answers(vlm: VLM) -> dict[str, str | None]:
    return {retrieval.request: retrieval.text for retrieval in vlm.retrieve(ASKED)}


def refused(load_vlm: LoadVLM, base: Path, adapter: Path) -> str:
    with warnings.catch_warnings():  # f2r's users see none, or do not stop at them
        warnings.simplefilter("ignore")
        with pytest.raises(InputError) as caught:
            load_vlm(base, adapter=str(adapter))
    line = str(caught.value)
    assert line.startswith(str(adapter))
    assert "\n" not in line
    return line


def test_an_adapter_changes_answers_and_is_recorded(
    tiny_qwen2_vl: Path, adapter: Path, load_vlm: LoadVLM
) -> None:
    plain, adapted = load_vlm(tiny_qwen2_vl), load_vlm(tiny_qwen2_vl, adapter=str(adapter))
    assert answers(adapted) != answers(plain)
    assert all(text is not None for text in answers(adapted).values())  # the audit saw every input
    assert "adapter" not in plain.identity()
    assert adapted.identity()["adapter"] == folder_digest(adapter)
    assert adapted.identity()["checkpoint"] == plain.identity()["checkpoint"]
    assert adapted.environment()["sources"]["adapter"] == {
        "name": str(adapter),
        "path": str(adapter.resolve()),
        "digest": folder_digest(adapter),
    }


def test_an_adapter_computes_what_merging_it_would(
    tiny_qwen2_vl: Path, adapter: Path, load_vlm: LoadVLM
) -> None:
    adapted = load_vlm(tiny_qwen2_vl, adapter=str(adapter))
    before = answers(adapted)
    adapted.model.merge_adapter()
    assert answers(adapted) == before


def test_its_base_is_not_looked_up_by_the_name_that_it_was_trained_under(
    tiny_qwen2_vl: Path, broken: Path, load_vlm: LoadVLM
) -> None:
    config = json.loads((broken / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "package:of-another-machine"
    (broken / "adapter_config.json").write_text(json.dumps(config))
    load_vlm(tiny_qwen2_vl, adapter=str(broken))  # PEFT would warn, which is an error here


def test_an_adapter_for_other_shapes_is_refused(
    tiny_qwen2_vl: Path, broken: Path, load_vlm: LoadVLM
) -> None:
    weights = {name: torch.zeros(4, 8) for name in load_file(broken / WEIGHTS)}
    save_file(weights, broken / WEIGHTS, metadata={"format": "pt"})
    assert "does not fit the base" in refused(load_vlm, tiny_qwen2_vl, broken)


@pytest.mark.parametrize(("key", "value"), [("target_modules", ["nonesuch"]), ("peft_type", "MAGIC")])
def test_an_adapter_of_another_kind_is_refused(
    tiny_qwen2_vl: Path, broken: Path, load_vlm: LoadVLM, key: str, value: object
) -> None:
    file = broken / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    assert "does not fit the base" in refused(load_vlm, tiny_qwen2_vl, broken)


@pytest.mark.parametrize("fault", ["half of it missing", "every name another"])
def test_an_adapter_that_lacks_weights_is_refused(
    tiny_qwen2_vl: Path, broken: Path, load_vlm: LoadVLM, fault: str
) -> None:
    weights = load_file(broken / WEIGHTS)
    if fault == "half of it missing":
        weights = dict(sorted(weights.items())[: len(weights) // 2])
    else:
        weights = {name.replace("language_model", "lm"): w for name, w in weights.items()}
    save_file(weights, broken / WEIGHTS, metadata={"format": "pt"})
    refused(load_vlm, tiny_qwen2_vl, broken)


def test_an_adapter_with_weights_for_more_layers_is_refused(
    tiny_qwen2_vl: Path, broken: Path, load_vlm: LoadVLM
) -> None:
    weights = load_file(broken / WEIGHTS)
    weights |= {name.replace("layers.1.", "layers.2."): w.clone() for name, w in weights.items()}
    save_file(weights, broken / WEIGHTS, metadata={"format": "pt"})
    refused(load_vlm, tiny_qwen2_vl, broken)


def test_a_torn_adapter_is_refused(tiny_qwen2_vl: Path, broken: Path, load_vlm: LoadVLM) -> None:
    whole = (broken / WEIGHTS).read_bytes()
    (broken / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    refused(load_vlm, tiny_qwen2_vl, broken)


def test_a_checkpoint_is_no_adapter(tiny_qwen2_vl: Path, load_vlm: LoadVLM, tmp_path: Path) -> None:
    other = tiny.qwen2_vl(tmp_path / "other", seed=1)
    assert "no adapter_config.json" in refused(load_vlm, tiny_qwen2_vl, other)
