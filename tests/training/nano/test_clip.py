"""The training of clip-nano: the loss by hand, resumable to the same weights, an ordinary CLIP."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from flat import at
from transformers import CLIPModel, CLIPProcessor

from f2rcli.adapters.encoders.encoder import find_encoder
from f2rcli.training.nano import clip
from f2rcli.training.nano.clip import ClipTraining, contrastive_loss
from f2rcli.training.nano.pairs import NOTHING


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip, "TOKENIZER_BATCHES", 3)
    monkeypatch.setattr(clip, "LOG_EVERY", 1)


def loss(angles: list[float], topics: list[int], scale: float = 1.0) -> float:
    vectors = torch.stack([torch.tensor(at(angle)) for angle in angles])
    return float(contrastive_loss(vectors, torch.tensor(topics), torch.tensor(scale)))


def test_the_loss_by_hand() -> None:
    # The first two are alike, 60° apart (0.5); the third, at 90° from the first and 30° from the second,
    # is about nothing: a wrong answer for them, and only itself is right for it.
    near = math.exp(math.sqrt(3) / 2)
    first = -math.log(math.exp(0.5) / (math.exp(0.5) + 1))
    second = -math.log(math.exp(0.5) / (math.exp(0.5) + near))
    third = -math.log(math.e / (math.e + 1 + near))
    assert loss([0, 60, 90], [4, 4, NOTHING]) == pytest.approx((first + second + third) / 3)
    assert loss([0, 90], [NOTHING, NOTHING]) < loss([0, 45], [NOTHING, NOTHING])


def test_the_loss_is_least_where_topics_are_apart() -> None:
    topics = [0, 0, 0, 1, 1, 1]
    apart, mixed = loss([0, 0, 0, 180, 180, 180], topics, 20), loss([0, 180, 90, 0, 180, 90], topics, 20)
    assert apart == pytest.approx(math.log(2), abs=1e-6)  # two right answers share the probability
    assert mixed > 5


def test_a_stopped_one_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ClipTraining(tmp_path / "whole", steps=4)
    whole.run()
    monkeypatch.setattr(clip, "SAVE_EVERY", 2)
    stopped = ClipTraining(tmp_path / "stopped", steps=4)
    log = stopped._log

    def until_killed(line: dict[str, Any]) -> None:
        log(line)
        if line["step"] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(stopped, "_log", until_killed)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = ClipTraining(tmp_path / "stopped", steps=4)
    assert resumed.step == 2
    resumed.run()
    expected, found = (CLIPModel.from_pretrained(one.finish()).state_dict() for one in (whole, resumed))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    lines = (tmp_path / "stopped/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_the_finished_checkpoint_is_an_ordinary_small_clip(tmp_path: Path) -> None:
    folder = ClipTraining(tmp_path, steps=0).finish()
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    assert (folder / "model.safetensors").stat().st_size < 6e6
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32)
    processor = CLIPProcessor.from_pretrained(folder)
    text = "昨天的小狗你看到了吗"
    tokens = processor(text=[text], return_tensors="pt")
    begin, end = processor.tokenizer.bos_token_id, processor.tokenizer.eos_token_id
    assert [int(tokens["input_ids"][0, i]) for i in (0, -1)] == [begin, end]
    assert (begin, end) == (model.config.text_config.bos_token_id, model.config.text_config.eos_token_id)
    assert processor.tokenizer.decode(tokens["input_ids"][0], skip_special_tokens=True) == text
    plain = model.get_text_features(**tokens).pooler_output[0].detach()
    short, padded = find_encoder(f"hf:{folder}").texts([text, text + text])
    assert short.vector == pytest.approx((plain / plain.norm()).numpy(), abs=1e-5)
    assert (short.cut, padded.cut) == (False, False)
