"""f2r train grpo: the command from outside."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import lines
from recipes import write_grpo

from f2rcli.adapters.checkpoints import provenance

Run = Callable[..., Any]
FEW = {"loop.steps": 2, "loop.save_every": 1, "loop.log_every": 1, "validation.every": 2}


def test_a_training_from_the_command_line(f2r: Run, tiny_qwen2_vl: Path, tmp_path: Path) -> None:
    recipe = write_grpo(tmp_path / "小.toml", tiny_qwen2_vl, "example", **FEW)
    ended = f2r("train", "grpo", "--config", recipe, "--device", "cpu")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "checkpoint: runs/grpo/小/checkpoint"
    assert "step 2: reward 0.000 (f1 0.000, format 0.000), strict 0 %" in ended.err
    # a random model writes no answer in the form: every group is equal, drawn again once, and kept
    steps = [line for line in lines(Path("runs/grpo/小/log.jsonl")) if "reward" in line]
    assert [(line["equal"], line["redrawn"], line["strict"]) for line in steps] == [(1, 1, 0)] * 2
    again = f2r("train", "grpo", "--config", recipe, "--device", "cpu")
    assert (again.code, again.out) == (0, "checkpoint: runs/grpo/小/checkpoint\n")
    assert "finished already" in again.err
    asked = (
        "--model",
        f"hf:{tiny_qwen2_vl}",
        "--adapter",
        "runs/grpo/小/checkpoint",
        "--task",
        "example",
    )
    assert f2r("eval", *asked, "--limit", "2", "--quiet").code == 0


def test_in_the_order_of_a_curriculum(
    f2r: Run, tiny_qwen2_vl: Path, tmp_path: Path, example_curriculum: list[str]
) -> None:
    recipe = write_grpo(
        tmp_path / "小.toml",
        tiny_qwen2_vl,
        "example",
        **FEW,
        **{"curriculum": "课程.jsonl", "loop.redraws": 0},
    )
    ended = f2r("train", "grpo", "--config", recipe, "--device", "cpu")
    assert ended.code == 0, ended.err
    asked = [group["request"] for group in lines(Path("runs/grpo/小/completions.jsonl"))]
    assert asked == example_curriculum[:4]
    record = json.loads(Path("runs/grpo/小/training.json").read_text(encoding="utf-8"))
    assert len(record["identity"]["curriculum"]) == 64
    assert "another model" not in ended.err  # it does not say of which it is


@pytest.mark.parametrize("own", [True, False])
def test_a_curriculum_of_another_model_is_told(
    f2r: Run, tiny_qwen2_vl: Path, tmp_path: Path, example_curriculum: list[str], own: bool
) -> None:
    changes = FEW | {"curriculum": "课程.jsonl", "loop.steps": 1}
    recipe = write_grpo(tmp_path / "小.toml", tiny_qwen2_vl, "example", **changes)
    file = Path("课程.jsonl")
    origin, *samples = lines(file)
    digest = provenance(tiny_qwen2_vl)["digest"] if own else "0" * 64
    origin["curriculum"]["run"] = {"identity": {"model": {"checkpoint": digest}}}
    file.write_text("".join(json.dumps(line) + "\n" for line in [origin, *samples]), encoding="utf-8")
    ended = f2r("train", "grpo", "--config", recipe, "--device", "cpu")
    assert ended.code == 0, ended.err
    assert ("made of another model's answers" in ended.err) == (not own)


@pytest.fixture
def example_curriculum(f2r: Run) -> list[str]:
    """Requests of the curriculum that is written to 课程.jsonl."""
    from f2rcli.results.selection import Selection
    from f2rcli.tasks.datasets import load_task
    from f2rcli.training.curriculum.difficulty import Curriculum, Sample
    from f2rcli.training.curriculum.file import write_curriculum

    selection = Selection.of(load_task("example"), None, 0)
    samples = [
        Sample(one.id, f1=number % 3 / 2, entropy=float(number % 5))
        for number, one in enumerate(selection.requests)
    ]
    curriculum = Curriculum(samples)
    write_curriculum(Path("课程.jsonl"), {"data": selection.identity()}, curriculum)
    return [sample.request for kept in curriculum.kept.values() for sample in kept]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"stage": "sft"}, "stage 'sft' is not grpo"),
        ({"curriculum": "没有.jsonl"}, "没有.jsonl"),
        ({"base": "hf:runs/sft/nano-sft/checkpoint"}, "`f2r train sft --config nano-sft` makes it"),
        ({"base": "bm25"}, "base 'bm25' is no checkpoint of its own"),
        ({"data": "mini-wechat"}, "mini-wechat is for testing only"),
        ({"rewards.order_similarity": 1}, "no encoder is named for example"),
        ({"encoder": "hf:没有", "rewards.order_similarity": 1}, "没有"),
        ({"adapter": "没有"}, "没有"),
        ({"sampling.completions": 1}, "leaves nothing to compare"),
    ],
)
def test_what_does_not_fit_is_one_line(
    f2r: Run, tiny_qwen2_vl: Path, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    base, data = changes.pop("base", tiny_qwen2_vl), changes.pop("data", "example")
    recipe = write_grpo(
        tmp_path / "坏.toml", base, data, **{**FEW, "validation.data": "example", **changes}
    )
    assert complaint in f2r("train", "grpo", "--config", recipe, "--device", "cpu").complaint()
    assert not list(Path().glob("runs/grpo/坏/checkpoint"))


def test_a_curriculum_of_other_data_is_refused(
    f2r: Run, tiny_qwen2_vl: Path, tmp_path: Path, example_curriculum: list[str]
) -> None:
    recipe = write_grpo(tmp_path / "别的.toml", tiny_qwen2_vl, "mini-chat", curriculum="课程.jsonl")
    said = f2r("train", "grpo", "--config", recipe, "--device", "cpu").complaint()
    assert "made of other data" in said
