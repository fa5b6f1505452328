"""What is particular to single architectures."""

from collections.abc import Callable
from pathlib import Path

import pytest
from short_chats import picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.types import Prompt, Request

LoadVLM = Callable[..., VLM]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [picture(tmp_path / f"{n}.png", n, (112, 56)) for n in range(2)]


def test_llava_onevision_makes_tiles_of_a_picture_only_by_itself(
    families: Callable[[str], Path], load_vlm: LoadVLM, files: list[Path]
) -> None:
    inputs = load_vlm(families("llava_onevision")).inputs
    (alone,) = inputs.build(request(("", files[:1]))).images
    beside = inputs.build(request(("", files))).images
    # 112 × 56 fits the grid of 1 × 2 tiles of 56 × 56, with the small whole in front
    assert alone.tensors["pixel_values"].shape == (1, 3, 3, 56, 56)
    assert [image.tensors["pixel_values"].shape for image in beside] == [(1, 1, 3, 56, 56)] * 2
    # 4 × 4 patches, then 4 × 8 of the tiles and the end of each of their 4 rows
    assert inputs.build(request(("", files[:1]))).visual_tokens == [16 + 32 + 4]
    assert inputs.build(request(("", files))).visual_tokens == [16 + 1] * 2


def test_internvl_cuts_tiles_by_its_processors_own_wish(
    families: Callable[[str], Path], load_vlm: LoadVLM, files: list[Path]
) -> None:
    vlm = load_vlm(families("internvl"))
    one = vlm.inputs.build(request(("", files)))
    assert [image.tensors["pixel_values"].shape for image in one.images] == [(3, 3, 56, 56)] * 2
    assert one.visual_tokens == [12, 12]  # 4 a tile; two tiles and the small whole
    assert vlm.identity()["image_size"] == {
        "height": 56,
        "width": 56,
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": 4,
    }


def test_gemma_marks_the_tokens_that_see_each_other(
    families: Callable[[str], Path], load_vlm: LoadVLM, files: list[Path]
) -> None:
    inputs = load_vlm(families("gemma3")).inputs
    one = inputs.build(request(("", files)))
    batch = inputs.collate([one, inputs.build(request("好"))])
    assert one.text.startswith("<bos><start_of_turn>user\n")
    assert one.ids.count(inputs.tokenizer.bos_token_id) == 1
    assert batch["token_type_ids"].sum(-1).tolist() == [8, 0]  # 4 visual tokens a picture
    said = Prompt("你\n\n好", "一", ())  # one of its tokens, and no control token
    spoken = inputs.build(Request("r", request("一").dialogue, request().query, said))
    assert "你\n\n好" in spoken.text
    assert spoken.escaped == 0


def test_llava_reads_the_prompt_as_if_its_template_kept_the_order(
    families: Callable[[str], Path], load_vlm: LoadVLM, files: list[Path]
) -> None:
    inputs = load_vlm(families("llava")).inputs
    one = inputs.build(request(("一", files[:1]), "二"))
    assert one.text == (
        "USER: 猫\n<|utt_id_start|>0<|utt_id_end|> 甲: 一 <|img_id_start|>0<|img_id_end|><image>\n\n"
        "<|utt_id_start|>1<|utt_id_end|> 乙: 二 ASSISTANT:"
    )
    assert one.ids[0] == inputs.tokenizer.bos_token_id
