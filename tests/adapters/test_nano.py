"""The checkpoints that f2r brings along: ordinary folders, that retrieve and that look."""

import importlib.util
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest

from f2rcli.adapters.checkpoints import find_checkpoint
from f2rcli.adapters.registry import Settings, build, find_row, load_rows
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.tags import image_tag

ROOT = Path(__file__).parents[2]
NAMES = ("f2rvlm-nano-base", "f2rvlm-nano-sft")
PLAIN = """
import json, sys
from PIL import Image
from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

folder, parts = sys.argv[1], json.loads(sys.argv[2])  # of the chat: texts, and files of pictures
model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype="float32")
if sys.argv[3:]:
    from peft import PeftModel

    model = PeftModel.from_pretrained(model, sys.argv[3]).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
process = Qwen2VLImageProcessorPil.from_pretrained(folder)
images = process(images=[Image.open(p["image"]) for p in parts if "image" in p], return_tensors="pt")
content = [{"type": "image"} if "image" in p else {"type": "text", "text": p["text"]} for p in parts]
text = tokenizer.apply_chat_template(
    [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
)
tokens = int(images["image_grid_thw"][0].prod()) // 4
text = text.replace("<|image_pad|>", "<|image_pad|>" * tokens)
inputs = tokenizer(text, return_tensors="pt")
types = (inputs["input_ids"] == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
output = model.generate(**inputs, **images, mm_token_type_ids=types, max_new_tokens=200)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
assert "f2rcli" not in sys.modules
"""


@pytest.mark.parametrize("name", NAMES)
def test_they_are_complete_folders(name: str) -> None:
    folder = find_checkpoint(f"package:{name}")
    files = {file.name for file in folder.iterdir()}
    assert {
        "README.md",
        "config.json",
        "generation_config.json",
        "chat_template.jinja",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    } <= files
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"


def test_together_they_are_small() -> None:
    folder = Path(str(resources.files("f2rcli.adapters"))) / "checkpoints"
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 24e6


def test_the_adapter_names_the_checkpoint_that_it_is_over() -> None:
    settings = load_rows()["f2rvlm-nano"].settings
    folder = find_checkpoint(settings["adapter"], needed="adapter_config.json")
    assert {file.name for file in folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == settings["checkpoint"] == "package:f2rvlm-nano-sft"


@pytest.mark.parametrize("name", ["f2rvlm-nano-sft", "f2rvlm-nano"])
def test_plain_transformers_gets_the_answer_that_f2r_gets(name: str) -> None:
    task = load_task("mini-chat")
    request = next(iter(task.requests()))
    seen = task.with_images(request)
    files = {image.id: image.file for image in seen.dialogue.images}
    assert len(files) > 1
    parts: list[dict[str, str | None]] = []
    for part in seen.prompt.parts():
        if isinstance(part, str):
            parts.append({"text": part})
        else:
            parts += [{"text": image_tag(part)}, {"image": files[part]}]
    row = find_row(name, load_rows())
    words = [str(find_checkpoint(row.settings["checkpoint"])), json.dumps(parts)]
    if adapter := row.settings.get("adapter"):
        words.append(str(find_checkpoint(adapter, needed="adapter_config.json")))
    command = [sys.executable, "-c", PLAIN, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    nano = build(row, Settings())
    (answer,) = nano.retrieve([seen])
    assert answer.failure is None
    assert answer.text == done.stdout.strip()


@pytest.fixture(scope="module")
def looks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nano_looks", ROOT / "docs/reproduce/nano_looks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_looks(looks: ModuleType, tmp_path: Path) -> None:
    found = looks.measure("f2rvlm-nano", 11, 5, tmp_path)
    assert found["requests"] == 20
    assert found["as it is"] > found["blank"] + 0.2
    assert found["blank"] <= found["chance: a third"] + 0.05
    assert found["exchanges"] >= 5
    assert found["utterances, before"] >= 0.5
    assert found["utterances, after"] >= 0.5
