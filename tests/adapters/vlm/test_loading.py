"""Checkpoint folders as models: which load, and what is said of those that do not."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiny_vlms
import torch
from safetensors.torch import load_file, save_file
from short_chats import picture, request
from transformers import Qwen2Config, Qwen2ForCausalLM

from f2rcli.adapters.checkpoints import folder_digest
from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]


def refused(load_vlm: LoadVLM, folder: Path, **settings: object) -> str:
    with pytest.raises(InputError) as caught:
        load_vlm(folder, **settings)
    line = str(caught.value)
    assert "\n" not in line
    return line


def text_of(vlm: VLM, one: Request) -> str:
    (retrieval,) = vlm.retrieve([one])
    assert retrieval.text is not None
    return retrieval.text


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed here")
def test_every_architecture_loads_and_answers_without_torchvision(
    checkpoint: Path, load_vlm: LoadVLM, tmp_path: Path
) -> None:
    vlm = load_vlm(checkpoint)
    one = request("你好", ("图", [picture(tmp_path / "a.png")]))
    assert text_of(vlm, one)
    identity = vlm.identity()
    assert identity["checkpoint"] == folder_digest(checkpoint)
    assert identity["image_processor"] == "Qwen2VLImageProcessorPil"
    assert identity["dtype"] == "float32"  # `auto` on a CPU
    assert vlm.environment()["sources"]["checkpoint"]["path"] == str(checkpoint.resolve())


def test_the_answer_depends_on_the_picture(checkpoint: Path, load_vlm: LoadVLM, tmp_path: Path) -> None:
    vlm = load_vlm(checkpoint, max_new_tokens=12)
    files = [picture(tmp_path / f"{n}.png", n) for n in range(4)]
    assert len({text_of(vlm, request(("图", [file]))) for file in files}) > 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_another_dtype_is_used_and_recorded(tiny_qwen2_vl: Path, load_vlm: LoadVLM, dtype: str) -> None:
    vlm = load_vlm(tiny_qwen2_vl, dtype=dtype)
    assert vlm.identity()["dtype"] == dtype
    assert {weight.dtype for weight in vlm.model.parameters()} == {getattr(torch, dtype)}


def test_an_unknown_dtype_or_device_is_refused(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    assert "no dtype 'float8'" in refused(load_vlm, tiny_qwen2_vl, dtype="float8")
    for device in ("quantum", "meta"):
        line = refused(load_vlm, tiny_qwen2_vl, device=device)
        assert line.startswith(f"no device {device!r}: ")
        assert len(line) < 300


def test_missing_weights_are_never_random_numbers(spoilt: Path, load_vlm: LoadVLM) -> None:
    weights = load_file(spoilt / "model.safetensors")
    gone = next(name for name in weights if name.endswith("layers.1.self_attn.q_proj.weight"))
    del weights[gone]
    save_file(weights, spoilt / "model.safetensors", metadata={"format": "pt"})
    line = refused(load_vlm, spoilt)
    assert line.startswith(f"{spoilt}: 1 weights are missing")
    assert "layers.1.self_attn.q_proj.weight" in line


def reshape_head(folder: Path) -> Path:
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = torch.zeros(7, 32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_weights_of_another_shape_are_refused(spoilt: Path, load_vlm: LoadVLM) -> None:
    assert refused(load_vlm, reshape_head(spoilt)).startswith(str(spoilt))


def test_weights_of_another_shape_are_named(spoilt: Path, load_vlm: LoadVLM) -> None:
    line = refused(load_vlm, reshape_head(spoilt))
    assert "such as lm_head.weight (7 × 32; config.json makes it 352 × 32); fetch the checkpoint" in line


def test_a_processor_of_no_known_type_is_refused_in_a_few_words(spoilt: Path, load_vlm: LoadVLM) -> None:
    """transformers lists every type there is."""
    file = spoilt / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "image_processor_type": "没有"}))
    line = refused(load_vlm, spoilt)
    assert line.startswith(f"{spoilt}: processor cannot be loaded: Unrecognized image processor")
    assert len(line) < 300 + len(str(spoilt))


@pytest.mark.parametrize("maker", [tiny_vlms.llava, tiny_vlms.llava_next])
@pytest.mark.parametrize(("there", "said"), [(False, "is missing"), (True, "does not say patch_size")])
def test_a_missing_processor_config_is_named(
    tmp_path: Path, load_vlm: LoadVLM, maker: Callable[[Path], Path], there: bool, said: str
) -> None:
    folder = maker(tmp_path / "没有")
    (folder / "processor_config.json").unlink()
    if there:
        (folder / "processor_config.json").write_text("{}")
    assert refused(load_vlm, folder).startswith(f"{folder}: processor_config.json {said}")


def test_a_file_in_place_of_its_folder_is_named(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    file = tiny_qwen2_vl / "config.json"
    line = refused(load_vlm, file)
    assert line == f"{file}: a file, not a checkpoint; give the folder that it is in"


@pytest.mark.parametrize("content", ["half", "version https://git-lfs.github.com/spec/v1\n", ""])
def test_a_torn_file_of_weights_is_named(spoilt: Path, load_vlm: LoadVLM, content: str) -> None:
    file = spoilt / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == "half" else content.encode())
    assert refused(load_vlm, spoilt).startswith(str(spoilt))


def test_a_text_model_is_refused(tmp_path: Path, load_vlm: LoadVLM) -> None:
    config = Qwen2Config(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        bos_token_id=None,
        eos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    line = refused(load_vlm, tmp_path)
    assert line.startswith(f"{tmp_path}: qwen2 is no vision-language architecture")


@pytest.mark.parametrize("config", ["{", "{}", '{"model_type": "f2rvlm-next"}'])
def test_an_unusable_config_is_refused(spoilt: Path, load_vlm: LoadVLM, config: str) -> None:
    (spoilt / "config.json").write_text(config)
    assert refused(load_vlm, spoilt).startswith(f"{spoilt}: config.json cannot be used")


def test_a_checkpoint_without_a_chat_template_is_refused(spoilt: Path, load_vlm: LoadVLM) -> None:
    (spoilt / "chat_template.jinja").unlink()
    line = refused(load_vlm, spoilt)
    assert line.startswith(f"{spoilt}: no chat template")
    assert "instruct" in line


@pytest.mark.parametrize(
    "file",
    [
        "preprocessor_config.json",
        "tokenizer.json",
    ],
)
def test_a_missing_part_of_the_processor_is_refused(spoilt: Path, load_vlm: LoadVLM, file: str) -> None:
    (spoilt / file).unlink()
    assert refused(load_vlm, spoilt).startswith(str(spoilt))


def test_a_torn_generation_config_is_refused(spoilt: Path, load_vlm: LoadVLM) -> None:
    (spoilt / "generation_config.json").write_text('{"repetition_penalty": 1.0')
    assert refused(load_vlm, spoilt).startswith(str(spoilt))


def test_max_pixels_limits_an_image(spoilt: Path, load_vlm: LoadVLM, tmp_path: Path) -> None:
    settings = json.loads((spoilt / "preprocessor_config.json").read_text())
    settings["size"] = {"shortest_edge": 56 * 56, "longest_edge": 560 * 560}
    (spoilt / "preprocessor_config.json").write_text(json.dumps(settings))
    big = request(("图", [picture(tmp_path / "big.png", size=(560, 560))]))
    tokens = {}
    for limit in (None, 112 * 112, 10_000_000):
        vlm = load_vlm(spoilt, max_pixels=limit)
        (retrieval,) = vlm.retrieve([big])
        tokens[limit] = retrieval.details["visual_tokens"]
    # A visual token is 28 × 28 pixels: (560 / 28)² = 400 and (112 / 28)² = 16.
    assert tokens == {None: 400, 112 * 112: 16, 10_000_000: 400}
    assert load_vlm(spoilt, max_pixels=112 * 112).identity()["image_size"]["longest_edge"] == 112 * 112


def set_generation(folder: Path, **values: object) -> None:
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize("ends", ["<|im_end|>", ["<|im_end|>"], [1, "2"], 1.5, {"id": 1}])
def test_end_tokens_that_are_no_numbers_are_refused(
    spoilt: Path, load_vlm: LoadVLM, ends: object
) -> None:
    set_generation(spoilt, eos_token_id=ends)
    assert refused(load_vlm, spoilt).startswith(f"{spoilt}: generation_config.json cannot be used: ")


@pytest.mark.parametrize("content", ["[]", '[{"do_sample": true}]', "3", '"text"', "null"])
def test_a_generation_config_that_is_no_object_is_refused(
    spoilt: Path, load_vlm: LoadVLM, content: str
) -> None:
    (spoilt / "generation_config.json").write_text(content)
    assert refused(load_vlm, spoilt).startswith(str(spoilt))


@pytest.mark.parametrize(
    "values",
    [
        {"return_dict_in_generate": True},
        {"return_dict_in_generate": True, "output_scores": True},
        {"stop_strings": ["。"]},
        {"num_return_sequences": 3},
    ],
)
def test_what_a_checkpoint_says_of_the_output_does_no_harm(
    spoilt: Path, load_vlm: LoadVLM, values: dict[str, object]
) -> None:
    one = request("你好", "再见")
    before = text_of(load_vlm(spoilt, max_new_tokens=8), one)
    set_generation(spoilt, **values)
    assert text_of(load_vlm(spoilt, max_new_tokens=8), one) == before
