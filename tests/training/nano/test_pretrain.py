"""The pre-training: deterministic, resumable, and its losses mean what they say."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from f2rcli.adapters.vlm.loading import load
from f2rcli.training.nano import pretrain
from f2rcli.training.nano.corpus import Stage
from f2rcli.training.nano.pretrain import Pretraining

STAGES = (Stage(4, 4, 2, (1, 2), (3, 3), 4), Stage(4, 6, 3, (1, 2), (3, 3), 3, nothing=0.5, chain=0.5))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f2rcli.training.nano.corpus.PICTURES_A_THING", 2)
    monkeypatch.setattr(pretrain, "TOKENIZER_CHATS", 200)
    monkeypatch.setattr(pretrain, "LOG_EVERY", 1)
    monkeypatch.setattr(pretrain, "SETTLE", 4)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load(folder, None, "float32", "cpu", 10**9).base.state_dict())


def test_a_stopped_one_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Pretraining(tmp_path / "whole", STAGES)
    whole.run()
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 4)
    stopped = Pretraining(tmp_path / "stopped", STAGES)
    log = stopped._log

    def until_killed(line: dict[str, Any]) -> None:
        log(line)
        if line["step"] == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(stopped, "_log", until_killed)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = Pretraining(tmp_path / "stopped", STAGES)
    assert (resumed.step, resumed.stage) == (4, 1)
    resumed.run()
    expected, found = weights(whole.finish()), weights(resumed.finish())
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    lines = (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


def test_a_settled_stage_ends_early(tmp_path: Path) -> None:
    first, last = STAGES
    patient = Pretraining(tmp_path, (replace(first, steps=12, settled=0.0), last))
    assert patient._end() == 16
    hasty = Pretraining(tmp_path, (replace(first, steps=12, settled=9.0), last))
    hasty.run()
    assert (hasty.stage, hasty.begun, hasty.step) == (1, 4, 8)


def test_a_stage_with_a_rate_of_its_own_leaves_the_decay_before_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "WARM_UP", 0)
    monkeypatch.setattr(pretrain, "DECAY", 8)
    own = Stage(4, 6, 3, (1, 2), (3, 3), 3, drawn=0.5, images=1.0, rate=0.4)
    without, ending = Pretraining(tmp_path, STAGES), Pretraining(tmp_path, (*STAGES, own))
    for step in range(8):
        for training in (without, ending):
            training.step, training.stage, training.begun = step, step // 4, step // 4 * 4
        assert ending._rate() == without._rate() == pretrain.LEARNING_RATE * (8 - step) / 8
    ending.stage, ending.begun = 2, 8
    rates = []
    for step in range(8, 12):
        ending.step = step
        rates.append(ending._rate() / pretrain.LEARNING_RATE)
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_untrained_losses_are_those_of_chance(tmp_path: Path) -> None:
    untrained = Pretraining(tmp_path, STAGES)
    (asked, *_) = untrained._draw()
    found = untrained.losses(asked, 0.5, 0)
    vocabulary = untrained.model.config.text_config.vocab_size
    assert found["answer"].item() == pytest.approx(math.log(vocabulary), rel=0.25)
    assert found["images"].item() == pytest.approx(math.log(vocabulary), rel=0.25)
    assert found["line"].item() == pytest.approx(math.log(2), rel=0.5)
    assert found["exact"].item() == 0


def test_the_finished_checkpoint_is_in_16_bits(tmp_path: Path) -> None:
    folder = Pretraining(tmp_path, STAGES).finish()
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    assert (folder / "model.safetensors").stat().st_size < 12e6
