"""Making a curriculum with a tiny model: by the runner, resumable, with everything it came from."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asked
import pytest
import torch
from handmade import answer, lines
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from f2rcli.adapters.checkpoints import folder_digest
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.errors import InputError
from f2rcli.training.curriculum.difficulty import entropy
from f2rcli.training.curriculum.file import ordered_requests, read_curriculum
from f2rcli.training.curriculum.making import Made, make
from f2rcli.training.curriculum.recipe import CurriculumRecipe

MakeTiny = Callable[..., Made]
REQUESTS = 5

# Makes one in a process of its own, which kills itself before it keeps the nth answer.
DYING = """
import os, pathlib, signal, sys
import torch
from f2rcli.results.runs import Appender
from f2rcli.training.curriculum.making import make
from f2rcli.training.curriculum.recipe import CurriculumRecipe

torch.set_num_threads(1)
base, data, out, calls = sys.argv[1:]
append, left = Appender.append, [int(calls)]

def dying(self, attempt):
    left[0] -= 1
    if left[0] == 0:
        self.file.write(b'{"request": "half')
        self.file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, attempt)

Appender.append = dying
recipe = CurriculumRecipe("小", "curriculum", f"hf:{base}", data, "float32", 2, 3136)
make(recipe, pathlib.Path(out), device="cpu")
"""


def recipe(base: Path, data: Path, **changes: Any) -> CurriculumRecipe:
    words = {"precision": "float32", "batch_size": 2, "max_pixels": 3136, **changes}
    return CurriculumRecipe("小", "curriculum", f"hf:{base}", str(data), **words)


@pytest.fixture
def make_tiny(tiny_qwen2_vl: Path, chats: Path, tmp_path: Path) -> MakeTiny:
    def make_tiny(out: str = "课程", **options: Any) -> Made:
        known = ("batch_size", "requests", "seed")
        changes = {key: options.pop(key) for key in known if key in options}
        return make(recipe(tiny_qwen2_vl, chats, **changes), tmp_path / out, device="cpu", **options)

    return make_tiny


def run_of(folder: Path) -> Path:
    [record] = (folder / "run").rglob("run.json")
    return record.parent


def test_a_curriculum_says_where_it_came_from(
    make_tiny: MakeTiny, tiny_qwen2_vl: Path, chats: Path, tmp_path: Path
) -> None:
    made = make_tiny()
    assert made.file == tmp_path / "课程/curriculum.jsonl"
    assert made.unanswered == {}
    run = run_of(tmp_path / "课程")
    origin, chosen = read_curriculum(made.file)
    assert origin["run"]["identity"]["model"]["checkpoint"] == folder_digest(tiny_qwen2_vl)
    assert origin["run"]["identity"]["model"]["dtype"] == "float32"
    assert origin["run"]["path"] == str(run)
    assert origin["run"]["identity"]["images"]
    assert origin["data"]["task"]["file_digest"] == file_digest(chats)
    assert origin["predictions"]["digest"] == file_digest(run / "predictions.jsonl")
    assert origin["software"]["packages"]["transformers"]
    assert sum(part["before"] for part in origin["samples"].values()) == REQUESTS
    assert sum(part["kept"] for part in origin["samples"].values()) == len(chosen)
    assert origin["failures"]["truncated"] == REQUESTS  # of random weights nothing else is to be had
    assert made.notes[0] == "聊天, 5 requests, published protocol"
    assert [r.id for r in ordered_requests(made.file, asked.selection(chats))] == [
        line.request for line in chosen
    ]
    assert (tmp_path / "课程/curriculum.svg").read_text(encoding="utf-8").startswith("<svg")


def test_entropies_are_of_the_answers_on_disk(make_tiny: MakeTiny, tmp_path: Path) -> None:
    made = make_tiny()
    assert made.curriculum
    answers = {line["request"]: line for line in lines(run_of(tmp_path / "课程") / "answers.jsonl")}
    for sample in made.curriculum.samples:
        tokens = answers[sample.request]["logprobs"]
        assert len(tokens) == answers[sample.request]["output_tokens"]
        assert sample.entropy == entropy([token["logprob"] for token in tokens])
        assert sample.entropy != 10.0
    assert len({sample.entropy for sample in made.curriculum.samples}) == REQUESTS


def test_made_again_it_is_the_same_file(
    make_tiny: MakeTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tiny()
    assert made.file
    before = made.file.read_bytes()
    monkeypatch.setattr("f2rcli.adapters.vlm.VLM.retrieve", None)  # nothing is asked
    make_tiny()
    assert made.file.read_bytes() == before


def test_its_run_as_a_prediction_file_makes_the_same_curriculum(
    make_tiny: MakeTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tiny()
    monkeypatch.setattr("f2rcli.adapters.registry.build", None)  # no model at all
    predictions = run_of(tmp_path / "课程") / "predictions.jsonl"
    again = make_tiny("没有模型", predictions=predictions)
    assert made.file
    assert again.file
    first, second = read_curriculum(made.file), read_curriculum(again.file)
    assert first.chosen == second.chosen
    assert second.origin["run"] is None
    assert second.origin["predictions"] == first.origin["predictions"]
    assert not (tmp_path / "没有模型/run").exists()


def test_batches_make_no_difference(make_tiny: MakeTiny) -> None:
    two, one = make_tiny(), make_tiny("一个一个", batch_size=1)
    assert two.curriculum
    assert one.curriculum
    for a, b in zip(two.curriculum.samples, one.curriculum.samples, strict=True):
        assert (a.request, a.f1) == (b.request, b.f1)
        assert a.entropy == pytest.approx(b.entropy, rel=1e-4)


def test_a_subsample_is_asked_and_ordered_of_the_whole_data(
    make_tiny: MakeTiny, chats: Path, tmp_path: Path
) -> None:
    made = make_tiny(requests=3, seed=1)
    assert made.file
    assert made.notes[0] == "聊天, 3 of 5 requests, published protocol"
    asked_for = {line["request"] for line in lines(run_of(tmp_path / "课程") / "answers.jsonl")}
    assert len(asked_for) == 3
    whole = asked.selection(chats)
    assert {r.id for r in ordered_requests(made.file, whole)} <= asked_for
    assert read_curriculum(made.file).origin["data"]["data"] == whole.identity()["data"]
    assert read_curriculum(made.file).origin["run"]["identity"]["data"] != whole.identity()["data"]


def test_a_killed_pass_goes_on_to_the_same_curriculum(
    make_tiny: MakeTiny, tiny_qwen2_vl: Path, chats: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", DYING, str(tiny_qwen2_vl), str(chats), str(tmp_path / "断电"), "3"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    answers = run_of(tmp_path / "断电") / "answers.jsonl"
    assert answers.read_bytes().count(b"\n") == 2
    assert not (tmp_path / "断电/curriculum.jsonl").exists()
    resumed, undisturbed = make_tiny("断电"), make_tiny("一次做完")
    kept = Counter(line["request"] for line in lines(answers))
    assert set(kept.values()) == {1}
    assert len(kept) == REQUESTS
    assert resumed.file
    assert undisturbed.file
    wanted = read_curriculum(undisturbed.file).chosen
    assert read_curriculum(resumed.file).chosen == wanted


def test_what_failed_is_told_and_asked_again_before_anything_is_written(
    make_tiny: MakeTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from f2rcli.adapters.vlm import VLM

    retrieved = VLM._retrieved

    def failing(self: VLM, batch: list[Any]) -> Any:
        if any(one.request.id == "露营:1" for one in batch):
            raise RuntimeError("no memory left")
        return retrieved(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(VLM, "_retrieved", failing)
        made = make_tiny()
    assert (made.curriculum, made.file) == (None, None)
    assert made.unanswered == {"露营:1": "no memory left"}
    assert not (tmp_path / "课程/curriculum.jsonl").exists()
    again = make_tiny()
    assert again.unanswered == {}
    answers = Counter(line["request"] for line in lines(run_of(tmp_path / "课程") / "answers.jsonl"))
    assert answers == {**dict.fromkeys(answers, 1), "露营:1": 2}


def test_an_adapter_answers_and_is_recorded(
    tiny_qwen2_vl: Path, chats: Path, tmp_path: Path, make_tiny: MakeTiny
) -> None:
    torch.manual_seed(1)
    base = AutoModelForImageTextToText.from_pretrained(tiny_qwen2_vl)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, lora).save_pretrained(tmp_path / "适配")
    adapted = recipe(tiny_qwen2_vl, chats, adapter=str(tmp_path / "适配"))
    made, plain = make(adapted, tmp_path / "适配课程", device="cpu"), make_tiny()
    assert made.file
    assert made.curriculum
    assert plain.curriculum
    assert made.curriculum.samples != plain.curriculum.samples
    run = read_curriculum(made.file).origin["run"]
    assert run["model"]["name"] == f"hf:{tiny_qwen2_vl}+适配"
    assert run["model"]["trained"] == "adapter"
    assert run["identity"]["model"]["adapter"] == folder_digest(tmp_path / "适配")


def test_a_base_that_is_no_checkpoint_is_refused(chats: Path, tmp_path: Path) -> None:
    words = recipe(Path("x"), chats)
    named = CurriculumRecipe(**{**{n: getattr(words, n) for n in words.__slots__}, "base": "bm25"})
    with pytest.raises(InputError, match="base 'bm25' is no checkpoint"):
        make(named, tmp_path / "课程")


def test_where_nothing_is_left_nothing_is_written(chats: Path, tmp_path: Path) -> None:
    text = chats.read_text(encoding="utf-8")
    only = [{**chat, "query_text": ["没有"], "gt_turns": [[]]} for chat in json.loads(text)[:1]]
    data = chats.parent / "只有.json"
    data.write_text(json.dumps(only, ensure_ascii=False), encoding="utf-8")
    file = asked.write(tmp_path / "回答.jsonl", data, [answer()], [[-0.1]])
    with pytest.raises(InputError, match="nothing is left to train on"):
        make(recipe(Path("x"), data), tmp_path / "课程", predictions=file)
    assert not (tmp_path / "课程").exists()
