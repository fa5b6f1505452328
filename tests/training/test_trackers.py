"""What trainings report to TensorBoard, read by TensorBoard's own reader."""

from pathlib import Path

import pytest
from handmade import lines
from recipes import write_grpo, write_recipe

from f2rcli.training import sft
from f2rcli.training.grpo import training as grpo
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.recipe import SftRecipe, load_recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _from_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The place that a training sets is the process's."""
    pytest.importorskip("tensorboard", reason="tensorboard is in the extra `slow`")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")
    monkeypatch.chdir(tmp_path)


def reported(folder: Path) -> dict[str, dict[int, float]]:
    """Every scalar by its name, of each step."""
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    read = EventMultiplexer().AddRunsFromDirectory(str(folder / "tensorboard")).Reload()
    found: dict[str, dict[int, float]] = {}
    for run, tags in read.Runs().items():
        for tag in tags["scalars"]:
            values = {event.step: event.value for event in read.Scalars(run, tag)}
            found.setdefault(tag, {}).update(values)
    return found


def test_grpo_reports_what_it_logs(tiny_qwen2_vl: Path, chats: Path, tmp_path: Path) -> None:
    file = write_grpo(tmp_path / "recipe.toml", tiny_qwen2_vl, chats, report=["tensorboard"])
    grpo.train(load_recipe(str(file), GrpoRecipe), tmp_path / "训练", device="cpu")
    steps = [line for line in lines(tmp_path / "训练/log.jsonl") if "reward" in line]
    found = reported(tmp_path / "训练")
    for name in ("reward", "reward_f1", "kl", "entropy", "loss", "strict", "seconds_rollout"):
        assert found[name] == pytest.approx({line["step"]: line[name] for line in steps}, abs=1e-6)
    assert list(found["validation_joint_f1"]) == [4, 6]


def test_sft_reports_what_it_logs(tiny_qwen2_vl: Path, chats: Path, tmp_path: Path) -> None:
    file = write_recipe(tmp_path / "recipe.toml", tiny_qwen2_vl, chats, report=["tensorboard"])
    sft.train(load_recipe(str(file), SftRecipe), tmp_path / "训练", device="cpu")
    losses = {
        line["step"]: line["loss"] for line in lines(tmp_path / "训练/log.jsonl") if "loss" in line
    }
    assert losses
    assert reported(tmp_path / "训练")["train/loss"] == pytest.approx(losses, abs=1e-4)
