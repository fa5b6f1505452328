"""The untrained checkpoint: an ordinary folder, and a tokenizer that suits the answers."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

from f2rcli.adapters.vlm.loading import load
from f2rcli.tasks.tags import TAGS, render_answer
from f2rcli.tasks.types import Fragment
from f2rcli.training.nano.architecture import save_untrained
from f2rcli.training.nano.corpus import LARGEST_ID, texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    save_untrained(folder, texts(300, 0), 0)
    return folder


def test_plain_transformers_loads_it(folder: Path) -> None:
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder)
    assert 3e6 < sum(weight.numel() for weight in model.parameters()) < 6e6


def test_our_loader_loads_it(folder: Path) -> None:
    loaded = load(folder, None, "float32", "cpu", 10**9)
    assert loaded.processor.image_processor.size["longest_edge"] == 56 * 56


def test_tags_and_ids_are_single_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in (*TAGS, *map(str, range(LARGEST_ID + 1)), ", "):
        assert len(tokenizer(text)["input_ids"]) == 1, text


def test_an_answer_survives_the_tokenizer_also_without_special_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answer = render_answer(Fragment(frozenset([3, 40, 119]), frozenset([0])))
    tokens = tokenizer(answer + "<|im_end|>")["input_ids"]
    assert tokenizer.decode(tokens, skip_special_tokens=True) == answer


@pytest.mark.parametrize("text", ["昨天的小猫你看到了吗？😂", "don't  panic\tÜber 1234", " user1: hi"])
def test_any_text_survives_the_tokenizer(folder: Path, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    save_untrained(tmp_path, texts(300, 0), 0)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
