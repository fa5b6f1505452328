"""lm-evaluation-harness itself, with a model that only repeats answers: the scores are f2r's."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import handmade
import pytest
from official import answer
from short_chats import picture

from f2rcli.adapters import checkpoints
from f2rcli.tasks import lm_eval
from f2rcli.tasks.datasets import load_task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed"),
]


def in_a_process(*words: str | Path, **environment: str) -> Any:
    """The JSON of its last line. (Importing lm-eval warns of things that end a test.)"""
    ended = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_its_scores_are_those_of_a_run(tmp_path: Path) -> None:
    """Long and short dialogues, with and without pictures; right, wrong and malformed answers."""
    root = tmp_path / "数据"
    path = handmade.write_chats(
        root,
        handmade.chat("长", turns=230, pictures=(3, 70, 120, 229)),
        handmade.chat("短", turns=12),
        handmade.chat("没有图", turns=9, queries={"哪里": [2, 8]}, pictures=()),
    )
    for number, file in enumerate(sorted((root / "图片").iterdir())):
        picture(file, number)
    path = path.rename(root / "MLDR_val.json")
    said = [answer([2, 3, 4], [0]), "什么也没有", answer([7, 120, 900], [0, 5]), answer([2, 8])]
    answers: dict[str, str] = {}
    retriever = handmade.Scripted(
        lambda request: answers.setdefault(request.id, said[len(answers) % 4]), max_turns=100
    )
    run = handmade.evaluated(retriever, load_task("mldr", root), tmp_path / "runs")
    told = tmp_path / "answers.json"
    told.write_text(json.dumps(answers), encoding="utf-8")
    script = Path(handmade.__file__).with_name("harness.py")
    ended = subprocess.run(
        [sys.executable, script, Path(lm_eval.__file__).parent, "f2r_mldr", told],
        env={
            **os.environ,
            "F2R_DATA": str(root),
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path / "hf"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    scores = handmade.scores(run)["published"]
    for part in ("joint", "utterance", "image"):
        assert {name: found[f"{part}_{name},none"] for name in scores[part]} == scores[part]
    assert found["malformed,none"] == scores["failures"]["malformed"]
    assert found["out_of_range_ids,none"] == scores["out_of_range_ids"]
    assert found["sample_len"] == scores["samples"] == 7


MENDED = """
import copy, json, sys
from types import SimpleNamespace
from lm_eval.models.hf_vlms import HFMultimodalLM
from transformers import AutoTokenizer
from f2rcli.tasks.lm_eval.hf_multimodal import mend
from f2rcli.tasks.tags import TAGS

mend(), mend()
plain = AutoTokenizer.from_pretrained(sys.argv[1])
special = copy.deepcopy(plain)
special.add_tokens([tag for tag in TAGS], special_tokens=True)
answer = "<|utt_ids_start|>[3]<|utt_ids_end|>;<|img_ids_start|>[]<|img_ids_end|>"
ids = plain(answer + "<|im_end|><|endoftext|>")["input_ids"]
for tokenizer in (plain, special):
    left = tokenizer.decode(ids, skip_special_tokens=True)
    assert left == (answer if tokenizer is plain else "[3];[]")
    model = SimpleNamespace(tokenizer=tokenizer)
    assert HFMultimodalLM.tok_decode(model, ids) == answer
    ended = HFMultimodalLM.tok_decode(model, ids, skip_special_tokens=False)
    assert ended == answer + "<|im_end|><|endoftext|>"

asked = []

class Batch(dict):
    def to(self, *_):
        return self

def processor(**given):
    asked.append(given)
    return Batch()

model = SimpleNamespace(
    chat_applied=True, tokenizer=special, max_images=9, rgb=False, config=None, processor=processor,
    device="cpu", model=SimpleNamespace(dtype=None),
)
HFMultimodalLM.tok_batch_multimodal_encode(model, ["a", "b"], [[], []])
HFMultimodalLM.tok_batch_multimodal_encode(model, ["a", "b"], [[], ["picture"]])
assert model.processor is processor
print(json.dumps([call.get("images", "none") for call in asked]))
"""


def test_its_model_keeps_tags_and_takes_chats_without_pictures(tmp_path: Path) -> None:
    nano = Path(checkpoints.__file__).parent / "checkpoints/f2rvlm-nano-sft"
    assert in_a_process("-c", MENDED, nano, HF_HOME=str(tmp_path)) == ["none", [[], ["picture"]]]
