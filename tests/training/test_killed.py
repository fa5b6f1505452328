"""kill -9 at any moment: the same command goes on, to the same weights bit by bit."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from handmade import lines
from recipes import LORA, write_recipe
from safetensors.torch import load_file

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.folder import TrainingFolder
from f2rcli.training.samples import Samples

Train = Callable[..., Path]

# Trains in a process of its own, which kills itself when a function is called for the nth time.
DYING = """
import importlib, os, pathlib, signal, sys
import torch
from f2rcli.training.recipe import SftRecipe, load_recipe
from f2rcli.training.sft import train

torch.set_num_threads(1)
recipe, out, module, path, calls = sys.argv[1:]
*owners, name = path.split(".")
owner = importlib.import_module(module)
for part in owners:
    owner = getattr(owner, part)
function, left = getattr(owner, name), [int(calls)]

def dying(*args, **kwargs):
    left[0] -= 1
    if left[0] == 0:
        if name == "save":  # half of the file is on disk
            pathlib.Path(args[1]).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*args, **kwargs)

setattr(owner, name, dying)
train(load_recipe(recipe, SftRecipe), pathlib.Path(out), device="cpu")
"""
TRAINER, SFT = "f2rcli.training.trainer", "f2rcli.training.sft"
MOMENTS = {  # what kills it when it is called for the nth time, and the step from which it goes on
    "in a step": (TRAINER, "AnswerTrainer.training_step", 4, 2),
    "while a state is written": ("torch", "save", 5, 2),
    "in the first step": (TRAINER, "AnswerTrainer.training_step", 1, 0),
    "before a state has its name": (SFT, "complete", 1, 0),
    "while an old state is removed": ("shutil", "rmtree", 3, 6),
    "in the last validation": (TRAINER, "AnswerTrainer.evaluate", 2, 6),
    "while the checkpoint is written": (SFT, "publish", 1, 6),
    "before it is said to be finished": (SFT, "TrainingFolder.finish", 1, 6),
}
FAST = ("in a step", "while a state is written")
CASES = [("lora", "in a step"), *(("full", moment) for moment in MOMENTS)]
STEPS = {"loop.steps": 7}  # five samples in steps of two: a state is in the middle of every epoch


def weights(folder: Path) -> dict[str, torch.Tensor]:
    [file] = (folder / "checkpoint").glob("*.safetensors")
    return load_file(file)


def logged(folder: Path) -> list[dict[str, Any]]:
    """Everything but times, which are not the same twice."""
    return [
        {key: value for key, value in line.items() if "seconds" not in key}
        for line in lines(folder / "log.jsonl")
    ]


def killed(recipe: Path, out: Path, module: str, path: str, calls: int) -> None:
    command = [sys.executable, "-c", DYING, str(recipe), str(out), module, path, str(calls)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.parametrize(
    ("method", "moment"),
    [case if case[1] in FAST else pytest.param(*case, marks=pytest.mark.slow) for case in CASES],
)
def test_a_killed_training_ends_like_an_undisturbed_one(
    train_tiny: Train, tiny_qwen2_vl: Path, chats: Path, tmp_path: Path, method: str, moment: str
) -> None:
    module, path, calls, step = MOMENTS[moment]
    changes = STEPS | (LORA if method == "lora" else {})
    undisturbed = train_tiny("一次训完", **changes)
    recipe = write_recipe(tmp_path / "recipe.toml", tiny_qwen2_vl, chats, **changes)
    killed(recipe, tmp_path / "断电", module, path, calls)
    assert TrainingFolder(tmp_path / "断电").latest_state()[0] == step
    said: list[str] = []
    folder = train_tiny("断电", note=said.append, **changes)
    assert (f"going on from step {step}" in said) == (step > 0)
    assert logged(folder) == logged(undisturbed)
    ends, wanted = weights(folder), weights(undisturbed)
    assert ends.keys() == wanted.keys()
    assert all(torch.equal(ends[name], wanted[name]) for name in wanted)
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["finished"]
    assert [bool(session["finished"]) for session in record["sessions"]] == [False, True]


def interrupted(train_tiny: Train, monkeypatch: pytest.MonkeyPatch, at: int, **changes: Any) -> None:
    """Train until a step, and stop there as Control-C does."""
    from f2rcli.training.trainer import AnswerTrainer

    step = AnswerTrainer.training_step
    with monkeypatch.context() as patched:

        def stopping(self: AnswerTrainer, *args: Any) -> Any:
            if self.state.global_step == at:
                raise KeyboardInterrupt
            return step(self, *args)

        patched.setattr(AnswerTrainer, "training_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(**changes)


def test_no_weights_are_lost_where_a_release_calls_them_otherwise(
    train_tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen2-VL's files say `visual.…` where the modules are `model.visual.…`; the Trainer alone would
    go on from the base's weights, without a word."""
    undisturbed = train_tiny("一次训完", **STEPS)
    assert any(name.startswith("visual.") for name in weights(undisturbed))
    interrupted(train_tiny, monkeypatch, at=5, **STEPS)
    folder = train_tiny(**STEPS)
    assert all(torch.equal(w, weights(undisturbed)[name]) for name, w in weights(folder).items())


def test_over_long_samples_are_counted_once_and_stay_dropped(
    train_tiny: Train, vlm: VLM, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while samples are counted, and again when they are trained on."""
    samples = Samples(asked, vlm.inputs, {vlm.tokenizer.eos_token_id})
    tokens = {one.id: samples[i].tokens for i, one in enumerate(asked)}
    limit = {**STEPS, "length.max_tokens": max(tokens.values()) - 1}
    dropped = sorted(name for name, count in tokens.items() if count == max(tokens.values()))
    undisturbed = train_tiny("一次训完", **limit)
    with monkeypatch.context() as patched:
        patched.setattr(Samples, "__getitem__", lambda *_: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception):
            train_tiny(**limit)
    interrupted(train_tiny, monkeypatch, at=5, **limit)
    said: list[str] = []
    folder = train_tiny(note=said.append, **limit)
    counts = {"used": len(asked) - len(dropped), "dropped": dropped}
    assert json.loads((folder / "training.json").read_text(encoding="utf-8"))["samples"] == counts
    assert said[0].startswith(f"{counts['used']} samples; {len(dropped)} dropped")
    assert logged(folder) == logged(undisturbed)
    assert all(torch.equal(w, weights(undisturbed)[name]) for name, w in weights(folder).items())


def test_another_recipe_or_other_data_is_refused_in_the_same_folder(
    train_tiny: Train, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(train_tiny, monkeypatch, at=3)
    kept = TrainingFolder(tmp_path / "training").latest_state()
    with pytest.raises(InputError, match="holds a training with another recipe's seed"):
        train_tiny(seed=7)
    assert TrainingFolder(tmp_path / "training").latest_state() == kept
    changed = chats.read_text(encoding="utf-8").replace("露营的第0句话", "别的话")
    content = chats.read_bytes()
    try:
        chats.write_text(changed, encoding="utf-8")
        with pytest.raises(InputError, match="holds a training with another data"):
            train_tiny()
    finally:
        chats.write_bytes(content)
    train_tiny()


def test_a_finished_training_says_so_at_once(train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = train_tiny()
    before = (folder / "training.json").read_bytes()
    monkeypatch.setattr("f2rcli.training.sft.load", None)  # nothing is loaded
    said: list[str] = []
    train_tiny(note=said.append)
    assert said == [f"{folder}: finished already"]
    assert (folder / "training.json").read_bytes() == before
    with pytest.raises(InputError, match="holds a training with another recipe's loop"):
        train_tiny(**{"loop.steps": 9})


def test_a_second_process_is_refused(train_tiny: Train, tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path / "training")
    with folder.locked(), pytest.raises(InputError, match="another process is writing"):
        train_tiny()
    assert not folder.record_file.exists()
