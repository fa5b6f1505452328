"""Trainings of tiny checkpoints: what they leave, what they refuse, and what they leave alone."""

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from handmade import lines
from recipes import LORA
from safetensors.torch import load_file

from f2rcli.adapters.checkpoints import folder_digest
from f2rcli.adapters.registry import ModelRow
from f2rcli.adapters.vlm import VLM
from f2rcli.results.evaluate import evaluate
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.samples import Samples
from f2rcli.training.trainer import AnswerTrainer

Train = Callable[..., Path]
LoadVLM = Callable[..., VLM]
WEIGHTS = "checkpoint/model.safetensors"


def test_a_training_leaves_a_checkpoint_and_says_how_it_came_to_be(
    train_tiny: Train, load_vlm: LoadVLM, tiny_qwen2_vl: Path, chats: Path
) -> None:
    folder = train_tiny()
    assert not list((folder / "state/unfinished").iterdir())
    before, after = load_file(tiny_qwen2_vl / "model.safetensors"), load_file(folder / WEIGHTS)
    assert before.keys() == after.keys()
    assert all(weight.dtype == torch.float32 for weight in after.values())
    assert not any(torch.equal(before[name], after[name]) for name in before if "proj.weight" in name)
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["identity"]["recipe"]["optimiser"]["betas"] == [0.9, 0.95]
    assert record["identity"]["base"] == record["base"]["digest"] == folder_digest(tiny_qwen2_vl)
    assert record["data"]["path"] == str(chats)
    assert record["samples"] == {"used": 5, "dropped": []}
    assert record["finished"] == record["sessions"][0]["finished"]
    assert record["sessions"][0]["environment"]["packages"]["transformers"]
    row = ModelRow("trained", "transformers", "sft", settings={"checkpoint": str(folder / "checkpoint")})
    selection = Selection.of(load_task(str(chats)), None, 0)
    run = evaluate(row, load_vlm(folder / "checkpoint"), selection, folder / "runs")
    assert not run.errors()


def test_everything_of_the_checkpoint_but_its_weights_is_the_base(
    train_tiny: Train, tiny_qwen2_vl: Path
) -> None:
    folder = train_tiny(**{"save_as": "float16"}) / "checkpoint"
    assert {file.name for file in folder.iterdir()} == {file.name for file in tiny_qwen2_vl.iterdir()}
    assert all(
        weight.dtype == torch.float16 for weight in load_file(folder / "model.safetensors").values()
    )
    for file in folder.glob("*.js*"):
        before = json.loads((tiny_qwen2_vl / file.name).read_text(encoding="utf-8"))
        after = json.loads(file.read_text(encoding="utf-8"))
        if file.name == "config.json":
            assert after.pop("dtype") == "float16"
            before.pop("dtype")
        assert after == before, file.name


def test_fewer_pixels_than_the_base_has_are_the_checkpoints(
    train_tiny: Train, load_vlm: LoadVLM
) -> None:
    folder = train_tiny(**{"length.max_pixels": 28 * 28})
    assert load_vlm(folder / "checkpoint").processor.image_processor.size["longest_edge"] == 28 * 28


def test_the_log_has_every_number(train_tiny: Train) -> None:
    said: list[str] = []
    folder = train_tiny(note=said.append, **{"loop.save_every": 4})
    found = lines(folder / "log.jsonl")
    assert [(line["step"], "loss" in line) for line in found] == [
        (0, False),
        (1, True),
        (3, True),
        (4, True),  # because its state is saved
        (4, False),
        (6, True),
        (6, False),
    ]
    steps = [line for line in found if "loss" in line]
    assert [line["samples"] for line in steps] == [2, 5, 7, 10]  # five in three steps, then again
    assert steps[0]["learning_rate"] == 0
    for line in steps:
        keys = {"step", "epoch", "loss", "learning_rate", "grad_norm", "tokens", "samples", "seconds"}
        assert line.keys() == keys
        assert all(math.isfinite(value) for value in line.values())
    tried = [line for line in found if "validation_joint_f1" in line]
    counts = {f"validation_{kind}" for kind in ("error", "refused", "truncated", "malformed")}
    assert counts < tried[0].keys()
    assert tried[0]["validation_error"] == 0
    predictions = lines(folder / "validation/step-6/predictions.jsonl")
    assert len(predictions) == 2
    assert len([line for line in said if line.startswith("step ")]) == 6


def test_over_long_samples_are_dropped_and_counted(
    train_tiny: Train, vlm: VLM, asked: list[Request]
) -> None:
    samples = Samples(asked, vlm.inputs, {vlm.tokenizer.eos_token_id})
    longest_without_pictures = max(samples[i].tokens for i in (3, 4))
    assert all(samples[i].tokens > longest_without_pictures for i in (0, 1, 2))
    said: list[str] = []
    folder = train_tiny(note=said.append, **{"length.max_tokens": longest_without_pictures})
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["samples"] == {"used": 2, "dropped": ["露营:0", "露营:1", "露营:2"]}
    assert said[0].startswith("2 samples; 3 dropped, longer than max_tokens, such as 露营:0")
    assert lines(folder / "log.jsonl")[0] == {"step": 0, "samples": 2, "dropped": 3, "seconds": 0.0}


def test_a_limit_that_drops_everything_is_refused(train_tiny: Train) -> None:
    with pytest.raises(InputError, match=r"every sample is longer than length\.max_tokens"):
        train_tiny(**{"length.max_tokens": 10})


def test_a_tracker_that_is_not_installed_is_named(train_tiny: Train) -> None:
    if importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed")
    with pytest.raises(InputError, match="pip install wandb"):
        train_tiny(report=["wandb"])


def test_data_that_is_only_for_testing_is_refused(
    train_tiny: Train, chats: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="wechat is for testing only"):
        train_tiny(data=f"wechat={chats}")
    with pytest.raises(InputError, match="wechat is for testing only"):
        train_tiny(**{"validation.data": f"wechat={chats}"})
    assert not (tmp_path / "training").exists()


@pytest.mark.parametrize("base", ["bm25", "qwen2-vl:9b", "nonesuch"])
def test_a_base_that_is_no_checkpoint_is_refused(train_tiny: Train, base: Any) -> None:
    with pytest.raises(InputError):
        train_tiny(base=base)


def test_an_unreadable_picture_is_found_before_the_first_step(
    train_tiny: Train, tmp_path: Path, chats: Path
) -> None:
    copied = tmp_path / "数据"
    (copied / "图片").mkdir(parents=True)
    (copied / chats.name).write_bytes(chats.read_bytes())
    for file in (chats.parent / "图片").iterdir():
        (copied / "图片" / file.name).write_bytes(file.read_bytes())
    bad = copied / "图片/2.png"
    PIL.Image.new("RGB", (56, 56)).save(bad)
    bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(InputError) as caught:
        train_tiny(data=copied / chats.name)
    assert str(caught.value).startswith(f"{copied / chats.name}:")
    assert "2.png" in str(caught.value)


def test_a_training_that_diverges_stops_and_keeps_its_last_state(
    train_tiny: Train, tmp_path: Path
) -> None:
    wild = {"optimiser.learning_rate": 1e30, "optimiser.warmup": 0.5, "optimiser.clip": 1e30}
    with pytest.raises(InputError, match=r"is (nan|inf) at step [23]"):
        train_tiny(**wild, **{"loop.save_every": 1})
    folder = tmp_path / "training"
    states = sorted(folder.glob("state/step-*"))
    assert states
    for state in states:
        weights = load_file(state / "model.safetensors")
        assert all(weight.isfinite().all() for weight in weights.values())
    assert not (folder / "checkpoint").exists()


def test_memory_that_runs_out_is_one_line(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(trainer: AnswerTrainer, *_: Any, **__: Any) -> None:
        if trainer.state.global_step == 3:
            raise torch.OutOfMemoryError("Tried to allocate 20.00 GiB\nof nothing")

    compute_loss = AnswerTrainer.compute_loss
    monkeypatch.setattr(
        AnswerTrainer,
        "compute_loss",
        lambda *given, **named: greedy(*given, **named) or compute_loss(*given, **named),
    )
    with pytest.raises(InputError, match="out of memory at step 4; lower batch_size"):
        train_tiny()
    assert (tmp_path / "training/state/step-2").is_dir()


def test_validating_more_often_changes_nothing(train_tiny: Train) -> None:
    """Also where training draws random numbers, as LoRA's dropout does."""
    seldom, often = (
        load_file(
            train_tiny(f"every {every}", **LORA, **{"validation.every": every})
            / "checkpoint/adapter_model.safetensors"
        )
        for every in (6, 1)
    )
    assert seldom.keys() == often.keys()
    assert all(torch.equal(seldom[name], often[name]) for name in seldom)


def test_a_state_can_be_the_base_of_another_training(train_tiny: Train) -> None:
    state = train_tiny() / "state/step-4"
    folder = train_tiny("again", base=state, **{"loop.steps": 3})
    assert not (folder / "checkpoint/trainer_state.json").exists()
    assert json.loads((folder / "state/step-2/trainer_state.json").read_text())["global_step"] == 2


@pytest.mark.slow
def test_a_few_chats_are_learnt_by_heart(train_tiny: Train) -> None:
    """Some 100,000 weights, five requests: the loss goes to nothing and F1 to 1."""
    heart = {"loop.steps": 200, "loop.batch_size": 5, "loop.save_every": 100, "loop.log_every": 25}
    tried = {"validation.every": 200, "validation.requests": 5, "optimiser.learning_rate": 5e-3}
    found = lines(train_tiny(**heart, **tried) / "log.jsonl")
    losses = [line["loss"] for line in found if "loss" in line]
    assert losses[0] > 4
    assert losses[-1] < 0.1
    assert found[-1]["validation_joint_f1"] > 0.95
    assert found[-1]["validation_malformed"] == 0
