"""Where drafts are of no use, transformers writes a batch: its answers are still each one's own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import script, written
from short_chats import fragment, request
from torch import Tensor

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine import engine as module
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]


def tokens(vlm: VLM, requests: list[Request]) -> dict[str, list[int]]:
    return {name: one.tokens for name, one in written(vlm, requests).items()}


def test_without_drafts_answers_of_a_batch_have_their_own_caps_and_ends(
    tagged: Path, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As transformers writes them: all as long as the longest."""
    monkeypatch.setattr(module.Engine, "_objection", lambda self: "as a test asks")
    vlm = load_vlm(tagged, batch_size=3, logprobs=True)
    assert vlm.environment()["engine"]["drafts"] == "none: as a test asks"
    told = [request(*["好"] * count, id=str(count)) for count in (3, 20, 40)]
    caps = {"3": 4, "20": 40, "40": 9}
    monkeypatch.setattr(vlm, "_token_cap", lambda asked: caps[asked.id])
    answer = render_answer(fragment([1, 2])) + "<|im_end|>"
    said = vlm.tokenizer(answer)["input_ids"]
    assert len(said) == 14
    script(vlm, dict.fromkeys(caps, said), told)
    got = written(vlm, told)
    assert {name: one.tokens for name, one in got.items()} == {
        name: said[:cap] for name, cap in caps.items()
    }
    assert {name: one.ended for name, one in got.items()} == {"3": False, "20": True, "40": False}
    assert {name: len(one.logprobs) for name, one in got.items()} == {"3": 4, "20": 14, "40": 9}


@pytest.mark.parametrize(
    "how",
    [
        {"no_repeat_ngram_size": 2},
        {"min_length": ...},
        {"forced_eos_token_id": 20},
        {"repetition_penalty": 1.3},
        {"min_new_tokens": 3},
    ],
    ids=lambda how: next(iter(how)),
)
def test_without_drafts_penalties_count_no_padding(
    families: Callable[[str], Path],
    load_vlm: LoadVLM,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
) -> None:
    """Nor another one's cap: gemma3 takes no drafts, and its batches are padded."""
    chats = [request("猫" * (1 + number), id=str(number)) for number in range(3)]
    folder = shutil.copytree(families("gemma3"), tmp_path / "gemma3")
    if "min_length" in how:
        how = {"min_length": 3 + len(load_vlm(folder).inputs.build(chats[2]).ids)}
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **how}))
    got = {}
    for exact in (True, False):
        vlm = load_vlm(folder, exact=exact, batch_size=3)
        monkeypatch.setattr(vlm, "_token_cap", lambda asked: 14 + int(asked.id))
        assert not vlm.engine.drafts
        pad, end = vlm.tokenizer.pad_token_id, vlm.tokenizer.eos_token_id
        likes = {"min_length": end, "min_new_tokens": end}.get(next(iter(how)), pad)

        def prefer(head: Any, args: Any, logits: Tensor, likes: int = likes) -> Tensor:
            logits = logits.clone()
            logits[..., likes] = logits.amax(-1) * 1.1
            return logits

        vlm.base.get_output_embeddings().register_forward_hook(prefer)
        got[exact] = tokens(vlm, chats)
    assert got[False] == got[True]


def test_positions_that_depend_on_the_longest_text_are_each_ones_own(
    families: Callable[[str], Path], load_vlm: LoadVLM, tmp_path: Path
) -> None:
    """LongRoPE turns all tokens of a call otherwise once one of them is behind the original length."""
    folder = shutil.copytree(families("llava"), tmp_path / "llava")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["rope_parameters"] = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 8,
        "long_factor": [4.0, 3.0, 2.0, 5.0, 6.0, 7.0, 8.0, 2.0],
        "original_max_position_embeddings": 150,
        "factor": 4.0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    chats = [request(*["好"] * count, id=str(count)) for count in (1, 2, 12)]
    vlm = load_vlm(folder, max_new_tokens=12, batch_size=3)
    lengths = [len(vlm.inputs.build(one).ids) for one in chats]
    assert lengths[1] + 12 < 150 < lengths[2]
    reason = "none: its positions are others where a call reaches further"
    assert vlm.environment()["engine"] == {"pictures": "encoded once a dialogue", "drafts": reason}
    wanted = tokens(load_vlm(folder, max_new_tokens=12, exact=True), chats)
    assert len({tuple(one) for one in wanted.values()}) == 3
    assert tokens(vlm, chats) == wanted
