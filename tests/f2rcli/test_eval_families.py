"""f2r eval with a checkpoint of every architecture, and f2r models --check."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from short_chats import picture

from f2rcli.adapters.vlm.listening import Heard

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def chat_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chats, of two pictures and of one, with three queries."""
    folder = tmp_path_factory.mktemp("聊天")
    names = [picture(folder / f"{n}.png", n, size).name for n, size in enumerate([(56, 56), (112, 40)])]
    turns: list[Any] = ["看猫", [{"image_url": names[0]}], "猫在阳台", [{"image_url": names[1]}], "面馆"]
    chats = [
        {
            "dialogue_id": "甲",
            "dialogue": said(turns),
            "query_text": ["猫", "面馆"],
            "gt_turns": [[0, 1], [4]],
        },
        {"dialogue_id": "乙", "dialogue": said(turns[:3]), "query_text": "阳台", "gt_turns": [2]},
    ]
    file = folder / "chats.json"
    file.write_text(json.dumps(chats), encoding="utf-8")
    return file


def said(turns: list[Any]) -> list[dict[str, Any]]:
    return [
        {"utterance_idx": i, "speaker": f"u{i % 2}", "utterance": turn} for i, turn in enumerate(turns)
    ]


def test_every_architecture_answers_the_same_however_it_is_asked(
    f2r: Run, family: tuple[str, Path], chat_file: Path, tmp_path: Path
) -> None:
    responses = []
    for how in (("--exact",), ("--batch-size", "1"), ("--batch-size", "2")):
        out = tmp_path / how[-1]
        options = ("--max-new-tokens", "4", "--encoder", "none", "--prompt", "en", "--quiet")
        ended = f2r("eval", "-m", f"hf:{family[1]}", "-t", chat_file, *how, "--out", out, *options)
        assert ended.code == 0, ended.err
        (run,) = out.glob("*/*")
        lines = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        responses.append([json.loads(line)["response"] for line in lines])
    assert len(responses[0]) == 3
    assert all(responses[0])
    assert responses[0] == responses[1] == responses[2]


def test_a_limit_of_pixels_that_would_do_nothing_is_refused(
    f2r: Run, families: Callable[[str], Path], chat_file: Path
) -> None:
    ended = f2r(
        "eval", "-m", f"hf:{families('llava')}", "-t", chat_file, "--max-pixels", "784", "--quiet"
    )
    assert "llava has no limit of pixels" in ended.complaint()


def test_a_checkpoint_is_checked(f2r: Run, families: Callable[[str], Path]) -> None:
    folder = families("deepseek_vl_hybrid")
    ended = f2r("models", "--check", f"hf:{folder}")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"hf:{folder}: deepseek_vl_hybrid, pictures heard at SiglipVisionModel, SamVisionModel",
        "the engine: pictures encoded once a dialogue, drafts verified by the model",
        "a request with 3 pictures, 48 visual tokens: answered, as it was made",
        "two pictures exchanged at the vision tower: caught",
        "one picture left out at the vision tower: caught",
    ]


def test_an_audit_that_hears_nothing_is_found_out(
    f2r: Run, families: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = Heard.listen
    monkeypatch.setattr(Heard, "listen", lambda self, tensor: listen(self, tensor) and [])
    ended = f2r("models", "--check", f"hf:{families('gemma3')}")
    assert ended.code == 1
    assert "two pictures exchanged at the vision tower: NOT CAUGHT" in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        *(
            (("--check", name), f"for vision-language checkpoints, and {name} is of kind {kind}")
            for name, kind in (("bm25", "bm25"), ("clip-nano", "embedding"))
        ),
        (("--check", "hf:/no/such/folder"), "/no/such/folder: no such folder"),
        (("--check", "deepseek-vl2"), "deepseek-ai/deepseek-vl2-small cannot be asked"),
        (("--device", "cpu"), "--adapter, --trust-remote-code and --device go with --check"),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_line(
    f2r: Run, arguments: tuple[str, ...], said: str
) -> None:
    assert said in f2r("models", *arguments).complaint()


def test_every_model_is_listed_with_how_it_was_checked(f2r: Run) -> None:
    listed = {line.split("  ")[0]: line for line in f2r("models").out.splitlines() if line}
    assert "checked here" in listed["model"]
    assert "tiny checkpoint" in listed["internvl3"]
    assert "real weights" in listed["f2rvlm-nano"]
    assert "not checked" in listed["mplug-owl3"]
