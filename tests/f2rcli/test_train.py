"""f2r train sft: the command from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import lines
from recipes import write_recipe

from f2rcli.training.recipe import shipped

Run = Callable[..., Any]
SMALL = {"loop.steps": 2, "loop.batch_size": 1, "validation.requests": 1}


@pytest.fixture
def recipe(tiny_qwen2_vl: Path, tmp_path: Path) -> Path:
    """Two steps on the chats that ship with the package."""
    return write_recipe(tmp_path / "小.toml", tiny_qwen2_vl, "example", **SMALL)


def test_a_training_and_an_evaluation_of_what_it_leaves(f2r: Run, recipe: Path) -> None:
    trained = f2r("train", "sft", "--config", recipe, "--device", "cpu")
    assert trained.code == 0, trained.err
    checkpoint = Path("runs/sft/小/checkpoint")
    assert trained.out == f"checkpoint: {checkpoint}\n"
    assert "7 samples\n" in trained.err
    assert "step 2: validation F1 joint " in trained.err
    model = f"hf:{checkpoint}"
    words = ("eval", "-m", model, "-t", "example", "--limit", "1", "--max-new-tokens", "2", "--quiet")
    assert f2r(*words).code == 0
    again = f2r("train", "sft", "--config", recipe, "--device", "cpu")
    assert (again.code, again.out) == (0, trained.out)
    assert "runs/sft/小: finished already\n" in again.err


def test_an_adapter_is_evaluated_over_its_base(f2r: Run, tiny_qwen2_vl: Path, tmp_path: Path) -> None:
    lora = {"method": "lora", "lora.rank": 2, "lora.alpha": 4, "lora.dropout": 0.0}
    recipe = write_recipe(tmp_path / "小.toml", tiny_qwen2_vl, "example", **SMALL, **lora)
    out = tmp_path / "训练"
    assert f2r("train", "sft", "--config", recipe, "--out", out).code == 0
    words = ["eval", "-m", f"hf:{tiny_qwen2_vl}", "--adapter", out / "checkpoint", "-t", "example"]
    assert f2r(*words, "--limit", "1", "--max-new-tokens", "2", "--quiet").code == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"colour": 1}, "小.toml: colour is no key"),
        ({"base": "nonesuch"}, "no model 'nonesuch'"),
        ({"data": "没有.json"}, "no task and no file"),
        ({"lora.rank": 1, "lora.alpha": 1, "lora.dropout": 0}, "小.toml: the table lora"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    f2r: Run, tiny_qwen2_vl: Path, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    words: dict[str, Any] = {"base": tiny_qwen2_vl, "data": "example", **changes}
    recipe = write_recipe(tmp_path / "小.toml", **words)
    assert complaint in f2r("train", "sft", "--config", recipe).complaint()


def test_a_recipe_that_is_not_there_lists_those_that_are(f2r: Run) -> None:
    """Of that stage."""
    said = f2r("train", "sft", "--config", "nonesuch").complaint()
    assert said == f"nonesuch: no such recipe; {', '.join(shipped('sft'))}; or a file"
    assert "grpo" not in said


def test_help_and_a_bad_recipe_do_not_wait_for_torch(tmp_path: Path) -> None:
    (tmp_path / "坏.toml").write_text("seed = true\n")
    code = (
        "import sys, click\n"
        "from f2rcli.main import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    for words in (["--help"], ["train", "sft", "--config", str(tmp_path / "坏.toml")]):
        ended = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
        )
        assert ended.stdout.endswith("[]\n"), ended.stderr


def test_an_interrupted_training_says_that_it_goes_on(
    recipe: Path, tiny_qwen2_vl: Path, tmp_path: Path
) -> None:
    """Control-C: exit code 130, one last line, and the states stay."""
    write_recipe(recipe, tiny_qwen2_vl, "example", **{**SMALL, "loop.steps": 1000})
    command = [sys.executable, "-m", "f2rcli", "train", "sft", "--config", str(recipe)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "训练"), "--device", "cpu"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("训练/state/step-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "f2r: interrupted; run the same command again to go on"
    assert "Traceback" not in err
    record = json.loads((tmp_path / "训练/training.json").read_text(encoding="utf-8"))
    assert record["finished"] is None


@pytest.mark.slow
def test_several_processes_train_one_model(tiny_qwen2_vl: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "小.toml", tiny_qwen2_vl, "example", **SMALL)
    out = tmp_path / "训练"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "f2rcli"]
    ended = subprocess.run(
        [*launch, "train", "sft", "--config", str(recipe), "--out", str(out), "--device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("checkpoint: ") == 1
    steps = [line["step"] for line in lines(out / "log.jsonl") if "loss" in line]
    assert steps == [1, 2]
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert record["identity"]["processes"] == 2
    assert (out / "checkpoint/model.safetensors").is_file()
