"""CLIP checkpoints: the vectors of plain transformers, and errors that say what is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from short_chats import picture
from transformers import CLIPModel, CLIPProcessor

from f2rcli.adapters.encoders.encoder import NAMED, Encoder, find_encoder
from f2rcli.tasks.errors import InputError

TEXTS = ["走丢的猫", "The Cat 🐱", "好"]
LONGEST = "猫" * 25  # 75 bytes, of which this tokenizer makes 75 tokens, and two for begin and end


@pytest.fixture
def encoder(tiny_clip: Path) -> Encoder:
    return find_encoder(f"hf:{tiny_clip}")


@pytest.fixture
def spoilt(tiny_clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_clip, tmp_path / "坏的"))


def refused(folder: Path | str) -> str:
    """What using an encoder says that does not work."""
    with pytest.raises(InputError) as caught:
        find_encoder(f"hf:{folder}").texts(["猫"])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_vectors_are_those_of_plain_transformers(
    encoder: Encoder, tiny_clip: Path, tmp_path: Path
) -> None:
    files = [picture(tmp_path / f"{i}.png", i, size) for i, size in enumerate([(28, 28), (90, 40)])]
    model = CLIPModel.from_pretrained(tiny_clip)
    processor = CLIPProcessor.from_pretrained(tiny_clip, use_fast=False)
    import PIL.Image

    with torch.inference_mode():
        for text, found in zip(TEXTS, encoder.texts(TEXTS), strict=True):
            one = processor(text=[text], return_tensors="pt")
            plain = torch.nn.functional.normalize(model.get_text_features(**one).pooler_output)
            assert found.vector == pytest.approx(plain[0].numpy(), abs=1e-5)
            assert not found.cut
        for file, found in zip(files, encoder.images(files), strict=True):
            pixels = processor(images=PIL.Image.open(file), return_tensors="pt")["pixel_values"]
            plain = torch.nn.functional.normalize(model.get_image_features(pixels).pooler_output)
            assert found.vector == pytest.approx(plain[0].numpy(), abs=2e-2)  # resizing may differ


def test_vectors_have_length_1_and_differ(encoder: Encoder) -> None:
    rows = np.array([found.vector for found in encoder.texts(TEXTS)])
    assert (rows * rows).sum(-1) == pytest.approx(1)
    assert (rows @ rows.T)[~np.eye(3, dtype=bool)].max() < 0.99999


def test_a_text_beyond_the_limit_is_cut_and_says_so(encoder: Encoder) -> None:
    fits, long, longer = encoder.texts([LONGEST, LONGEST + "狗", LONGEST + "狗和鸟"])
    assert [found.cut for found in (fits, long, longer)] == [False, True, True]
    assert long.vector == pytest.approx(longer.vector, abs=1e-6)


def test_a_control_token_that_somebody_typed_ends_nothing(encoder: Encoder) -> None:
    typed, other = encoder.texts(["猫<|endoftext|>狗", "猫<|endoftext|>鸟"])
    assert typed.vector != pytest.approx(other.vector, abs=1e-6)


def test_a_picture_that_cannot_be_read_is_named(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "坏.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"坏\.png.*not a picture"):
        encoder.images([tmp_path / "坏.png"])


def test_the_digest_is_of_the_files(spoilt: Path, tiny_clip: Path) -> None:
    same, other = find_encoder(f"hf:{spoilt}"), find_encoder(f"hf:{tiny_clip}")
    assert same.digest == other.digest
    assert same.name == f"hf:{spoilt}"
    (spoilt / "config.json").write_text((spoilt / "config.json").read_text() + " ")
    assert find_encoder(f"hf:{spoilt}").digest != other.digest


def test_a_relative_path_is_named_as_it_is_found_again(
    tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_clip.parent)
    assert find_encoder(f"hf:{tiny_clip.name}").name == f"hf:{tiny_clip}"


def test_weights_as_tensors_in_a_pickle_will_do(spoilt: Path, encoder: Encoder) -> None:
    """As openai/clip-vit-base-patch32 has them."""
    model = CLIPModel.from_pretrained(spoilt)
    torch.save(model.state_dict(), spoilt / "pytorch_model.bin")
    (spoilt / "model.safetensors").unlink()
    pickled = find_encoder(f"hf:{spoilt}")
    assert pickled.texts(["猫"])[0].vector == pytest.approx(encoder.texts(["猫"])[0].vector, abs=1e-6)
    before = pickled.digest
    torch.save({name: w + 1 for name, w in model.state_dict().items()}, spoilt / "pytorch_model.bin")
    assert find_encoder(f"hf:{spoilt}").digest != before


def test_a_pickle_of_code_is_not_run(spoilt: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({"weights": Trap()}, spoilt / "pytorch_model.bin")
    (spoilt / "model.safetensors").unlink()
    assert "cannot be loaded" in refused(spoilt)
    assert not (tmp_path / "sprung").exists()


def test_lacking_weights_are_named(spoilt: Path) -> None:
    config = json.loads((spoilt / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 3
    (spoilt / "config.json").write_text(json.dumps(config))
    assert "weights are missing or of another shape, such as text_model.encoder.layers.2" in refused(
        spoilt
    )


def test_weights_of_another_shape_are_named(spoilt: Path) -> None:
    weights = load_file(spoilt / "model.safetensors")
    weights["text_projection.weight"] = torch.zeros(7, 9)
    save_file(weights, spoilt / "model.safetensors", metadata={"format": "pt"})
    line = refused(spoilt)
    assert "such as text_projection.weight (7 × 9; config.json makes it " in line
    assert "fetch the checkpoint again" in line


def test_a_lacking_tokenizer_is_named(spoilt: Path) -> None:
    for name in ("tokenizer.json", "vocab.json"):
        (spoilt / name).unlink(missing_ok=True)
    assert "no tokenizer in it" in refused(spoilt)


def test_a_lacking_image_processor_is_named(spoilt: Path, tmp_path: Path) -> None:
    for name in ("preprocessor_config.json", "processor_config.json"):
        (spoilt / name).unlink(missing_ok=True)
    with pytest.raises(InputError, match="image processor cannot be loaded"):
        find_encoder(f"hf:{spoilt}").images([picture(tmp_path / "1.png")])


def test_a_name_that_is_none_lists_those_that_are() -> None:
    with pytest.raises(InputError) as caught:
        find_encoder("clip")
    for name in (*NAMED, "hf:PATH", "none"):
        assert name in str(caught.value)


def test_a_checkpoint_that_is_not_here_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as caught:
        find_encoder("clip-vit-base-patch32", fetch=False)
    assert "hf download openai/clip-vit-base-patch32" in str(caught.value)
    assert "--encoder hf:/path/to/folder" in str(caught.value)
