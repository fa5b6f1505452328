"""f2r train grpo on tiny checkpoints: it learns what is rewarded, and leaves what it should."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import tiny
import torch
from handmade import lines
from recipes import write_grpo
from safetensors.torch import load_file, save_file

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image
from f2rcli.tasks.types import Request
from f2rcli.training import rewards
from f2rcli.training.folder import TrainingFolder
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.grpo.training import train
from f2rcli.training.recipe import load_recipe

Grpo = Callable[..., Path]
LoadVLM = Callable[..., VLM]
ADAPTER = {"adapter_config.json", "adapter_model.safetensors"}  # and no template of a card


def letters(completions: Sequence[str], *_: Any) -> list[float]:
    """A reward that a random model gets some of."""
    return [sum(letter in "aeiou" for letter in text) / max(1, len(text)) for text in completions]


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rewards.REWARDS, "f1", letters)


@pytest.fixture
def grpo(tiny_qwen2_vl: Path, chats: Path, tmp_path: Path) -> Grpo:
    """Trains the tiny checkpoint on the chats, with changes of the recipe; gives the folder."""

    def run(out: str = "训练", base: Path = tiny_qwen2_vl, **changes: Any) -> Path:
        notes: Callable[[str], None] = changes.pop("note", lambda line: None)
        file = write_grpo(tmp_path / "recipe.toml", base, changes.pop("data", chats), **changes)
        train(load_recipe(str(file), GrpoRecipe), tmp_path / out, device="cpu", note=notes)
        return tmp_path / out

    return run


def logged(folder: Path) -> list[dict[str, Any]]:
    """The steps' lines without times, which are not the same twice."""
    return [
        {key: value for key, value in line.items() if "seconds" not in key}
        for line in lines(folder / "log.jsonl")
        if "reward" in line
    ]


@pytest.fixture
def outspoken(tiny_qwen2_vl: Path, tmp_path: Path) -> Path:
    """The tiny checkpoint with larger logits: with its own, whatever it learns it says with a murmur."""
    folder = tmp_path / "outspoken"
    shutil.copytree(tiny_qwen2_vl, folder)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] *= 20
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_it_learns_what_is_rewarded(grpo: Grpo, outspoken: Path) -> None:
    free = {"sampling.top_p": 1.0, "sampling.top_k": 0, "sampling.completions": 16}
    eager = {"optimiser.learning_rate": 0.03, "objective.beta": 0.0, "lora.rank": 8}
    steps = {"loop.steps": 20, "validation.every": 20}
    means = [line["reward_f1"] for line in logged(grpo(base=outspoken, **free, **eager, **steps))]
    assert sum(means[-5:]) > 2 * sum(means[:5]) > 0


def test_it_leaves_an_adapter_and_says_how_it_came_to_be(
    grpo: Grpo, load_vlm: LoadVLM, tiny_qwen2_vl: Path, asked: list[Request]
) -> None:
    said: list[str] = []
    folder = grpo(note=said.append)
    assert not list((folder / "state/unfinished").iterdir())
    adapted = load_vlm(tiny_qwen2_vl, folder / "checkpoint")
    weights = load_file(folder / "checkpoint/adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)
    assert not any("visual" in name for name in weights)
    assert {file.name for file in (folder / "checkpoint").iterdir()} == ADAPTER
    assert len(list(adapted.retrieve([one.without_gold() for one in asked]))) == len(asked)
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["identity"]["recipe"]["sampling"]["top_p"] == 0.85
    assert record["samples"] == {"prompts": 5, "dropped": [], "steps": 6}
    assert record["finished"]
    steps = logged(folder)
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert steps[0]["learning_rate"] == 0  # of a warm-up, so that the second step has the same weights
    assert all(line["kl"] > 0 for line in steps[2:])
    assert all(0 <= line["clipped"] == 0 for line in steps)  # one update a step: no ratio but 1
    assert steps[-1]["learning_rate"] < steps[1]["learning_rate"]
    groups = lines(folder / "completions.jsonl")
    assert [group["step"] for group in groups] == [3, 3, 6, 6]
    assert all(len(group["completions"]) == len(group["totals"]) == 4 for group in groups)
    assert groups[0]["rewards"]["f1"] == letters(groups[0]["completions"])
    assert [line for line in said if line.startswith("step 3: reward")]
    assert (folder / "validation/step-6/predictions.jsonl").is_file()


def test_the_ratio_is_clipped_where_weights_change_more_than_once_a_step(grpo: Grpo) -> None:
    folder = grpo(**{"objective.updates": 3, "optimiser.learning_rate": 5e-2})
    assert max(line["clipped"] for line in logged(folder)) > 0


def test_a_group_that_teaches_nothing_is_drawn_again(
    grpo: Grpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most so often, and then kept."""
    monkeypatch.setitem(rewards.REWARDS, "f1", lambda completions, *_: [0.5] * len(completions))
    folder = grpo(**{"loop.redraws": 3, "loop.steps": 2})
    assert [(line["redrawn"], line["equal"]) for line in logged(folder)] == [(3, 1)] * 2
    calls: list[int] = []

    def second_time(completions: Sequence[str], *_: Any) -> list[float]:
        calls.append(1)
        return [float(number * (len(calls) % 2 == 0)) for number in range(len(completions))]

    monkeypatch.setitem(rewards.REWARDS, "f1", second_time)
    folder = grpo("再来", **{"loop.redraws": 3, "loop.steps": 2})
    assert [(line["redrawn"], line["equal"]) for line in logged(folder)] == [(1, 0)] * 2


def test_prompts_that_do_not_fit_are_left_out_and_counted(grpo: Grpo) -> None:
    said: list[str] = []
    few = {"loop.steps": 5, "loop.prompts": 1, "loop.redraws": 0}
    folder = grpo(note=said.append, **{"prompts.max_images": 1, **few})
    assert "2 prompts, 5 steps; 3 dropped, more images than max_images, such as 露营:0" in said
    used = {group["request"].rpartition(":")[0] for group in lines(folder / "completions.jsonl")}
    assert used == {"面馆"}  # which has no pictures
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["samples"] == {"prompts": 2, "dropped": [f"露营:{i}" for i in range(3)], "steps": 5}
    with pytest.raises(InputError, match="more tokens than the recipe takes"):
        grpo("太长", **{"prompts.max_tokens": 3})


def test_a_start_that_failed_leaves_the_folder_free(grpo: Grpo) -> None:
    with pytest.raises(InputError, match=r"lora.targets do not fit"):
        grpo(**{"lora.targets": ["没有"], "loop.steps": 2})
    assert (grpo(**{"loop.steps": 2}) / "checkpoint").is_dir()


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_vl_2b", "qwen2_5_vl", "qwen3_vl"])
def test_gradient_checkpointing_computes_layers_again_and_changes_nothing(
    grpo: Grpo,
    tmp_path: Path,
    asked: list[Request],
    load_vlm: LoadVLM,
    attended: list[str],
    kind: str,
) -> None:
    """In the published recipes' precision."""
    base = getattr(tiny, kind)(tmp_path / kind)
    ways = {"base": base, "precision": "bfloat16", "loop.steps": 2, "loop.prompts": 1}
    plain = grpo("False", **ways, **{"loop.gradient_checkpointing": False}) / "checkpoint"
    once = len(attended)
    again = grpo("True", **ways, **{"loop.gradient_checkpointing": True}) / "checkpoint"
    assert len(attended) - once > once > 0
    kept, computed = (load_file(f / "adapter_model.safetensors") for f in (plain, again))
    assert any(weight.abs().max() > 0 for name, weight in kept.items() if "lora_B" in name)
    assert all(torch.equal(computed[name], weight) for name, weight in kept.items())
    assert all(answer.text is not None for answer in load_vlm(base, again).retrieve(asked[:1]))


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_vl_2b"])
def test_over_an_adapter_it_leaves_one_adapter_of_both(
    grpo: Grpo, train_tiny: Callable[..., Path], tmp_path: Path, load_vlm: LoadVLM, kind: str
) -> None:
    """Over the base: what SFT changed, and what GRPO changed as its last state has it."""
    base = getattr(tiny, kind)(tmp_path / kind)
    lora = {"method": "lora", "lora.rank": 3, "lora.alpha": 6, "lora.dropout": 0.0}
    sft = train_tiny("sft", base=base, **lora) / "checkpoint"
    steps = {"loop.steps": 3, "loop.save_every": 1, "optimiser.learning_rate": 0.1}
    folder = grpo(base=base, adapter=str(sft), **steps)
    config = json.loads((folder / "checkpoint/adapter_config.json").read_text())
    assert config["r"] == 3 + 2
    assert {file.name for file in (folder / "checkpoint").iterdir()} == ADAPTER
    both = load_vlm(base, folder / "checkpoint").model.merge_and_unload().state_dict()
    first = load_vlm(base, sft).model.merge_and_unload().state_dict()
    name = "model.language_model.layers.0.self_attn.q_proj"
    weights = torch.load(folder / "state/step-2/state.pt", weights_only=True)["weights"]
    a, b = (
        next(w for key, w in weights.items() if f"{name}.lora_{side}.grpo" in key) for side in ("A", "B")
    )
    expected = 32 / 2 * b @ a
    assert expected.norm() > 0
    changed = both[f"{name}.weight"] - first[f"{name}.weight"]
    # the schedule is near its end: the last step changes less than the one before it
    assert (changed - expected).norm() < 0.7 * expected.norm()
    assert all("visual" not in key for key in both if not torch.equal(both[key], first[key]))
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["adapter"]["path"] == str(sft.resolve())
    logs = logged(folder)
    assert logs[0]["kl"] == pytest.approx(0, abs=1e-6)  # the reference is the SFT model, not its base
    assert logs[2]["kl"] > 0


def test_a_picture_that_cannot_be_read_stops_it_and_the_state_stays(
    grpo: Grpo, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [3]

    def failing(file: str) -> PIL.Image.Image:
        left[0] -= 1
        if left[0] < 0:
            raise InputError("cannot be read", where=file)
        return open_image(file)

    with monkeypatch.context() as patched:
        patched.setattr("f2rcli.adapters.vlm.inputs.open_image", failing)
        with pytest.raises(InputError, match=r"图片/.*png: cannot be read") as caught:
            grpo(**{"loop.save_every": 1, "loop.steps": 8})
    assert str(caught.value.where).startswith(str(chats))
    begun, _ = TrainingFolder(tmp_path / "训练").latest_state()
    assert begun > 0
    said: list[str] = []
    grpo(note=said.append, **{"loop.save_every": 1, "loop.steps": 8})
    assert f"going on from step {begun}" in said


def test_a_loss_that_is_no_number_stops_it(grpo: Grpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "f2rcli.training.grpo.steps.advantages", lambda totals: torch.full((len(totals),), torch.nan)
    )
    with pytest.raises(InputError, match="the loss is nan at step 1; the last state is kept"):
        grpo()


def test_rewards_of_order_need_an_encoder(grpo: Grpo) -> None:
    with pytest.raises(InputError, match="no encoder is named"):
        grpo(encoder="none", **{"rewards.order_similarity": 1.0})


def test_another_recipe_is_refused_in_the_same_folder(grpo: Grpo) -> None:
    grpo(**{"loop.steps": 2})
    with pytest.raises(InputError, match="another recipe's objective"):
        grpo(**{"loop.steps": 2, "objective.beta": 0.5})
