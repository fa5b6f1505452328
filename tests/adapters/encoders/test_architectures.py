"""Every architecture that f2r embeds with gives the vectors of plain transformers, in order."""

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tiny
import torch
import transformers
from short_chats import picture
from tiny_encoders import MADE, opened, unit

from f2rcli.adapters.encoders.e5v import E5V
from f2rcli.adapters.encoders.encoder import Encoder, find_encoder
from f2rcli.adapters.encoders.gme import GME
from f2rcli.tasks.errors import InputError

TEXTS = ["走丢的猫", "The cat 🐱", "好", "a cat on a mat"]


def check_order(encoder: Encoder, items: list[Any], embed: Callable[[list[Any]], list[Any]]) -> None:
    """Vector k of a batch is that of item k alone, and of no other."""
    together = [np.atleast_2d(found.vector) for found in embed(items)]
    alone = [np.atleast_2d(embed([item])[0].vector) for item in items]
    far = [[float(abs(a - b).max()) for b in alone] for a in together]
    for k, row in enumerate(far):
        assert row[k] < 1e-4, f"vector {k} is not that of item {k}"
        assert min(row[:k] + row[k + 1 :]) > 1e-3, f"item {k} could be taken for another"


@pytest.mark.parametrize("name", MADE)
def test_vector_k_is_of_text_k_and_of_picture_k(name: str, folders: Any, files: list[Path]) -> None:
    encoder = opened(folders(name))
    check_order(encoder, TEXTS, encoder.texts)
    check_order(encoder, TEXTS, encoder.queries)
    if encoder.sees_pictures:
        check_order(encoder, files, encoder.images)


def test_a_swap_would_be_noticed(folders: Any, files: list[Path]) -> None:
    encoder = opened(folders("blip2"))
    for items, embed in ((TEXTS, encoder.texts), (files, encoder.images)):
        with pytest.raises(AssertionError, match="vector 0 is not that of item 0"):
            check_order(encoder, items, lambda some, embed=embed: embed(some)[::-1])


@pytest.mark.parametrize("name", ["siglip", "siglip2"])
def test_siglip_is_its_own_forward_computation(name: str, folders: Any, files: list[Path]) -> None:
    """The logits are scale × cosine + bias of every pair."""
    folder = folders(name)
    encoder = opened(folder)
    model = transformers.AutoModel.from_pretrained(folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    ids = words(TEXTS, padding="max_length", max_length=24, return_tensors="pt")["input_ids"]
    pixels = images([PIL.Image.open(file) for file in files], return_tensors="pt")
    with torch.inference_mode():
        found = model(input_ids=ids, **pixels)
    texts = np.array([one.vector for one in encoder.texts(TEXTS)])
    seen = np.array([one.vector for one in encoder.images(files)])
    scale, bias = model.logit_scale.exp().item(), model.logit_bias.item()
    assert scale * texts @ seen.T + bias == pytest.approx(found.logits_per_text.numpy(), abs=1e-4)


def test_siglip_reads_its_padding_and_cuts_what_is_longer(folders: Any) -> None:
    encoder = opened(folders("siglip"))
    fits, long, longer = encoder.texts(["a" * 23, "a" * 24, "a" * 30])  # and one token for the end
    assert [found.cut for found in (fits, long, longer)] == [False, True, True]
    assert long.vector == pytest.approx(longer.vector, abs=1e-6)


def test_blip2_is_its_own_similarity(folders: Any, files: list[Path]) -> None:
    """The largest of the query tokens' cosines, by the model's own forward computation."""
    folder = folders("blip2")
    encoder = opened(folder)
    model = transformers.Blip2ForImageTextRetrieval.from_pretrained(folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = images([PIL.Image.open(file) for file in files], return_tensors="pt")["pixel_values"]
    tokens = words(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = model(
            pixel_values=pixels,
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            use_image_text_matching_head=False,
        )
    texts = np.array([one.vector for one in encoder.texts(TEXTS)])
    seen = [one.vector for one in encoder.images(files)]
    assert [vectors.shape for vectors in seen] == [(5, 12)] * 3
    nearest = np.array([(vectors @ texts.T).max(0) for vectors in seen])
    assert nearest == pytest.approx(found.logits_per_image.numpy(), abs=1e-5)
    plainly = np.array([(vectors @ texts.T)[0] for vectors in seen])
    assert abs(nearest - plainly).max() > 1e-3  # the first query token alone would be another number


@pytest.mark.parametrize("name", ["e5v", "gme", "siglip", "blip2"])
def test_control_tokens_that_somebody_typed_are_text(name: str, folders: Any) -> None:
    encoder = opened(folders(name))
    for typed in ("<image>", "<|image_pad|>", "</s>", "[SEP]", "<|eot_id|>"):
        one, other = encoder.texts([f"a{typed}b", f"a{typed}c"])
        assert np.isfinite(one.vector).all()
        assert one.vector != pytest.approx(other.vector, abs=1e-6)


def test_sentences_are_the_mean_of_their_tokens_under_their_prompts(folders: Any) -> None:
    folder = folders("sentences")
    model = transformers.BertModel.from_pretrained(folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)

    def plain(text: str) -> np.ndarray:
        with torch.inference_mode():
            return unit(model(**words(text, return_tensors="pt")).last_hidden_state[0].mean(0))

    own, given = opened(folder), opened(folder, query_prompt="找：{text}", text_prompt="说：{text}")
    for text in TEXTS:
        for found, read in (
            (own.queries([text]), f"q: {text}"),
            (own.texts([text]), f"d: {text}"),
            (given.queries([text]), f"找：{text}"),
            (given.texts([text]), f"说：{text}"),
        ):
            assert found[0].vector == pytest.approx(plain(read), abs=1e-5)
            assert not found[0].cut
    assert own.texts(["很" * 30])[0].cut
    with pytest.raises(InputError, match="reads texts only"):
        own.images([])


def test_digests_are_of_files_and_of_how_they_are_used(folders: Any) -> None:
    for name in ("clip", "siglip", "blip2", "e5v", "gme", "sentences"):
        plain, same = opened(folders(name)), opened(folders(name))
        asked = opened(folders(name), query_prompt="找 {text}")
        said = opened(folders(name), text_prompt="找 {text}")
        assert plain.digest == same.digest
        assert len({plain.digest, asked.digest, said.digest}) == 3
        assert not asked.symmetric
    assert opened(folders("gme")).digest != opened(folders("gme"), dtype="bfloat16").digest
    sentences = folders("sentences")
    [pooling] = sentences.glob("*_Pooling/config.json")
    before = opened(sentences).digest
    pooling.write_text(pooling.read_text() + "\n")
    assert opened(sentences).digest != before


def test_prompts_are_the_releases(folders: Any) -> None:
    assert E5V.TEXT.count("{text}") == E5V.IMAGE.count("{image}") == 1
    assert GME.TEXT.count("{text}") == GME.IMAGE.count("{image}") == 1
    with pytest.raises(InputError, match="CLIP has no image_prompt"):
        opened(folders("clip"), image_prompt="{image}")


def test_what_is_no_encoder_is_refused_in_one_line(folders: Any, tmp_path: Path) -> None:
    other = tiny.qwen2_5_vl(tmp_path / "别的")
    with pytest.raises(InputError) as caught:
        find_encoder(f"hf:{other}")
    line = str(caught.value)
    assert "qwen2_5_vl is no architecture that f2r embeds with" in line
    for name in ("clip", "siglip2", "blip-2", "llava_next", "qwen2_vl", "sentence-transformers"):
        assert name in line


def test_a_blip2_that_only_writes_captions_is_refused(folders: Any, tmp_path: Path) -> None:
    config = transformers.Blip2Config.from_pretrained(folders("blip2"))
    transformers.Blip2ForConditionalGeneration(config).save_pretrained(tmp_path / "写")
    with pytest.raises(InputError, match="weights are missing or of another shape"):
        opened(tmp_path / "写").images([picture(tmp_path / "1.png")])


@pytest.mark.parametrize("name", ["siglip", "siglip2", "sentences", "e5v"])
def test_loading_prints_nothing(
    name: str, folders: Any, files: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither bars nor warnings, whatever was asked of transformers before."""
    folder, warned = folders(name), logging.StreamHandler(said := io.StringIO())
    capfd.readouterr()  # of what made the folder
    transformers.logging.set_verbosity_warning()
    transformers.logging.enable_progress_bar()
    logging.getLogger("transformers").addHandler(warned)
    try:
        encoder = opened(folder)
        encoder.texts(["猫"])
        if encoder.sees_pictures:
            encoder.images(files)
    finally:
        logging.getLogger("transformers").removeHandler(warned)
    assert (said.getvalue(), capfd.readouterr().err) == ("", "")


def test_code_of_a_folder_of_sentences_is_not_offered(folders: Any) -> None:
    folder = folders("sentences")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError) as caught:
        opened(folder).texts(["猫"])
    said = "cannot be loaded: it needs code of its own, which f2r does not run"
    assert str(caught.value) == f"{folder}: {said}"


def test_without_sentence_transformers_its_folders_are_refused(
    folders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders("sentences")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'f2rcli\[embed\]'"):
        opened(folder).texts(["猫"])
