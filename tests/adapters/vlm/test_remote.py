"""Checkpoints that bring code of their own: run only if that is asked for, and audited like all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from safetensors.torch import save_file
from short_chats import picture, request
from transformers import Qwen2VLForConditionalGeneration

from f2rcli.adapters.registry import Settings, build, find_row, load_rows
from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.planting import FAULTS, planted
from f2rcli.tasks.errors import InputError

LoadVLM = Callable[..., VLM]
CONFIG = """
from transformers import Qwen2VLConfig

print("f2r-test: strange code runs")


class StrangeConfig(Qwen2VLConfig):
    model_type = "strange_vl"
"""
MODEL = """
from transformers import Qwen2VLForConditionalGeneration

from .configuration_strange import StrangeConfig


class StrangeModel(Qwen2VLForConditionalGeneration):
    config_class = StrangeConfig
"""
PROCESSOR = """
from transformers import Qwen2VLProcessor


class StrangeProcessor(Qwen2VLProcessor):
    pass
"""
PLACES = {
    "AutoConfig": "configuration_strange.StrangeConfig",
    "AutoModelForCausalLM": "modeling_strange.StrangeModel",
    "AutoProcessor": "processing_strange.StrangeProcessor",
}


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An architecture that transformers does not have, with its code in the checkpoint's folder."""
    modules = str(tmp_path / "modules")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
    folder = tiny.qwen2_vl(tmp_path / "strange")
    weights = Qwen2VLForConditionalGeneration.from_pretrained(folder).state_dict()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})  # by this version's names
    config = json.loads((folder / "config.json").read_text())
    write(folder, {**config, "model_type": "strange_vl", "auto_map": PLACES})
    (folder / "configuration_strange.py").write_text(CONFIG)
    (folder / "modeling_strange.py").write_text(MODEL)
    (folder / "processing_strange.py").write_text(PROCESSOR)
    return folder


def write(folder: Path, config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def refused(load_vlm: LoadVLM, folder: Path, *, trust: bool) -> str:
    with pytest.raises(InputError) as caught:
        load_vlm(folder, trust_remote_code=trust)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_code_of_a_checkpoint_is_not_run_unasked(
    strange: Path, load_vlm: LoadVLM, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(load_vlm, strange, trust=False)
    assert line.startswith(f"{strange}: strange_vl is not in transformers ")
    assert all(place in line for place in PLACES.values())
    assert line.endswith("--trust-remote-code runs it, if you trust its authors")
    assert "strange code runs" not in capsys.readouterr().out


def test_with_leave_it_is_run_audited_and_recorded(
    strange: Path, load_vlm: LoadVLM, tmp_path: Path
) -> None:
    vlm = load_vlm(strange, trust_remote_code=True)
    assert type(vlm.base).__name__ == "StrangeModel"
    chat = request(("一", [picture(tmp_path / "a.png", 1)]), ("二", [picture(tmp_path / "b.png", 2)]))
    assert [got.text is None for got in vlm.retrieve([chat])] == [False]
    for fault in FAULTS.values():
        with planted(vlm, fault):
            (got,) = vlm.retrieve([chat])
        assert got.failure is not None
        assert got.failure.message.startswith("input audit:")
    before = vlm.identity()["checkpoint"]
    (strange / "modeling_strange.py").write_text(MODEL + "\n# changed\n")
    assert load_vlm(strange, trust_remote_code=True).identity()["checkpoint"] != before


def test_leave_changes_nothing_for_what_transformers_has(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    plain, trusted = (load_vlm(tiny_qwen2_vl, trust_remote_code=trust) for trust in (False, True))
    assert plain.identity() == trusted.identity()
    assert type(trusted.base).__name__ == "Qwen2VLForConditionalGeneration"


def test_code_of_another_repository_is_never_run(strange: Path, load_vlm: LoadVLM) -> None:
    config = json.loads((strange / "config.json").read_text())
    elsewhere = {kind: f"somebody/else--{place}" for kind, place in PLACES.items()}
    write(strange, {**config, "auto_map": elsewhere})
    for trust in (False, True):
        assert "another repository (somebody/else)" in refused(load_vlm, strange, trust=trust)


def test_code_that_does_not_work_is_named(strange: Path, load_vlm: LoadVLM) -> None:
    (strange / "processing_strange.py").write_text("import no_such_package_at_all\n")
    line = refused(load_vlm, strange, trust=True)
    assert line.startswith(f"{strange}: its own code does not work here")
    assert "no_such_package_at_all" in line


def test_code_without_a_processor_is_refused(strange: Path, load_vlm: LoadVLM) -> None:
    config = json.loads((strange / "config.json").read_text())
    write(strange, {**config, "auto_map": {k: v for k, v in PLACES.items() if k != "AutoProcessor"}})
    line = refused(load_vlm, strange, trust=True)
    assert (
        line == f"{strange}: no processor is known for strange_vl, nor in its own code (AutoProcessor)"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mplug-owl3", "mPLUG/mPLUG-Owl3-7B-241101 brings its own code, which would be run"),
        ("deepseek-vl2", "deepseek-ai/deepseek-vl2-small cannot be asked: transformers has no"),
    ],
)
def test_a_row_says_so_before_anything_is_fetched(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(find_row(name, load_rows()), Settings())


def test_a_checkpoint_of_another_architecture_than_its_row_says(
    tiny_qwen2_vl: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rows.toml"
    row = f'kind = "transformers"\nmodel_type = "llava"\ncheckpoint = "{tiny_qwen2_vl}"\n'
    file.write_text(f"[mine]\n{row}")
    with pytest.raises(InputError, match="is qwen2_vl, not llava"):
        build(load_rows(file)["mine"], Settings())
