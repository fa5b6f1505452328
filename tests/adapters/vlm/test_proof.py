"""What cannot be proved of an architecture or a processor is refused before anything is asked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_vlms
import torch
from transformers import LlavaForConditionalGeneration
from transformers.models.llava.modeling_llava import LlavaModel
from transformers.models.llava.processing_llava import LlavaProcessor

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError

LoadVLM = Callable[..., VLM]
Families = Callable[[str], Path]


def refused(load_vlm: LoadVLM, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_vlm(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{folder}: ")
    return line.removeprefix(f"{folder}: ")


def test_pictures_that_depend_on_each_other_are_refused(
    families: Families, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = LlavaProcessor._process_images

    def brighter(self: Any, images: Any, **kwargs: Any) -> Any:
        made, written = process(self, images, **kwargs)
        made["pixel_values"] = made["pixel_values"] + made["pixel_values"].mean()
        return made, written

    monkeypatch.setattr(LlavaProcessor, "_process_images", brighter)
    line = refused(load_vlm, families("llava"))
    assert "other pictures of two together than of each by itself" in line


def test_a_processor_that_does_not_say_what_stands_for_a_picture_is_refused(
    families: Families, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = LlavaProcessor._process_images
    monkeypatch.setattr(
        LlavaProcessor,
        "_process_images",
        lambda self, images, **kwargs: (process(self, images, **kwargs)[0], []),
    )
    assert "its processor cannot be asked for pictures" in refused(load_vlm, families("llava"))


def test_a_model_whose_tower_gets_something_else_is_refused(
    families: Families, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = LlavaModel.get_image_features

    def blurred(self: Any, pixel_values: torch.Tensor, **kwargs: Any) -> Any:
        return encode(self, pixel_values * 0.99, **kwargs)

    monkeypatch.setattr(LlavaModel, "get_image_features", blurred)
    line = refused(load_vlm, families("llava"))
    assert line.startswith("the input audit has no place to listen in a llava: pixel_values reaches no")


def test_a_model_that_takes_other_tokens_than_its_processor_writes_is_refused(
    families: Families, load_vlm: LoadVLM, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(families("llava"), tmp_path / "other"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "image_token_index": 7}))
    line = refused(load_vlm, folder)
    written = config["image_token_index"]
    assert line.startswith(f"the processor writes token {written} for pictures, the model reads 7")


def test_a_model_that_fails_on_pictures_is_refused(
    families: Families, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Any, **kwargs: Any) -> Any:
        raise RuntimeError("two lines\nof it")

    monkeypatch.setattr(LlavaForConditionalGeneration, "forward", failing)
    line = refused(load_vlm, families("llava"))
    assert line == "does not take what its processor makes (RuntimeError: two lines of it)"


def test_every_architecture_of_the_rows_is_among_those_tested() -> None:
    from f2rcli.adapters.registry import load_rows

    rows = load_rows().values()
    tested = {
        row.name: row.settings.get("model_type")
        for row in rows
        if (row.kind, row.checked) == ("transformers", "tiny checkpoint")
    }
    assert {"qwen2-vl", "mimo-vl-7b-rl", "internvl3", "llava-1.5", "ovis2", "gemma3"} <= tested.keys()
    assert set(tested.values()) == set(tiny_vlms.MAKERS)
    own = {row.name for row in rows if row.checked == "real weights"}
    assert own == {row.name for row in rows if row.settings.get("checkpoint", "").startswith("package:")}
