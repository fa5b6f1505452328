"""E5-V and GME: the hidden states of plain transformers, one prompt at a time."""

from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
import transformers
from tiny_encoders import opened, unit

TEXTS = ["走丢的猫", "The cat 🐱", "好", "a cat on a mat"]


def test_e5v_is_the_last_tokens_hidden_state(folders: Any, files: list[Path]) -> None:
    folder = folders("e5v")
    encoder = opened(folder)
    model = transformers.LlavaNextForConditionalGeneration.from_pretrained(folder)
    processor = transformers.LlavaNextProcessor(
        transformers.AutoImageProcessor.from_pretrained(folder, backend="pil"),
        transformers.AutoTokenizer.from_pretrained(folder),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    chat = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant"
    chat += "<|end_header_id|>\n\n \n"
    said = [chat.format(f"{text}\nSummary above sentence in one word: ") for text in TEXTS]
    shown = chat.format("<image>\nSummary above image in one word: ")
    inputs = [processor(text=prompt, return_tensors="pt") for prompt in said]
    inputs += [processor(PIL.Image.open(file), shown, return_tensors="pt") for file in files]
    found = [one.vector for one in (*encoder.texts(TEXTS), *encoder.images(files))]
    for given, vector in zip(inputs, found, strict=True):
        with torch.inference_mode():
            states = model(**given, output_hidden_states=True).hidden_states[-1]
        assert vector == pytest.approx(unit(states[0, -1]), abs=1e-5)


def test_gme_is_the_last_tokens_hidden_state(folders: Any, files: list[Path]) -> None:
    folder = folders("gme")
    asks = "<|im_start|>system\nFind an image that matches the given text.<|im_end|>\n"
    asks += "<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
    encoder = opened(folder, query_prompt=asks)
    assert not encoder.symmetric
    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.AutoImageProcessor.from_pretrained(
        folder, backend="pil", min_pixels=256 * 784, max_pixels=1280 * 784
    )
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    after = "<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
    inputs = [words(system + text + after, return_tensors="pt") for text in TEXTS]
    inputs += [words(asks.replace("{text}", text), return_tensors="pt") for text in TEXTS]
    for file in files:
        pixels = images(PIL.Image.open(file), return_tensors="pt")
        number = int(pixels["image_grid_thw"].prod()) // 4
        assert number >= 256
        shown = f"<|vision_start|>{'<|image_pad|>' * number}<|vision_end|>"
        read = words(system + shown + after, return_tensors="pt")
        kinds = (read["input_ids"] == words.convert_tokens_to_ids("<|image_pad|>")).long()
        inputs.append({**read, **pixels, "mm_token_type_ids": kinds})
    vectors = (*encoder.texts(TEXTS), *encoder.queries(TEXTS), *encoder.images(files))
    for given, one in zip(inputs, vectors, strict=True):
        with torch.inference_mode():
            states = model(**given, output_hidden_states=True).hidden_states[-1]
        assert one.vector == pytest.approx(unit(states[0, -1]), abs=1e-4)


def test_a_text_beyond_the_limit_of_a_language_model_is_cut(
    folders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("f2rcli.adapters.encoders.last_token.LIMIT", 6)
    fits, long, longer = opened(folders("e5v")).texts(["猫狗", "猫狗a", "猫狗bcd"])  # 3 bytes each
    assert [found.cut for found in (fits, long, longer)] == [False, True, True]
    assert long.vector == pytest.approx(fits.vector, abs=1e-6)
    assert longer.vector == pytest.approx(fits.vector, abs=1e-6)
