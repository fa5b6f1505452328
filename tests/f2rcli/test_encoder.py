"""Relevance and coherence on the command line, by a tiny CLIP."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
import pytest
from short_chats import picture

from f2rcli.adapters.encoders import clip
from f2rcli.adapters.encoders.encoder import NAMED

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "嵌入"))


@pytest.fixture
def pictured(chats: Path) -> Path:
    """The chats, with pictures that are some."""
    for seed, file in enumerate(sorted((chats.parent / "图片").iterdir())):
        picture(file, seed)
    return chats


def stored(model: str = "*", out: str = "runs") -> dict[str, Any]:
    [file] = Path(out).glob(f"*/{model}/scores.json")
    return dict(json.loads(file.read_text(encoding="utf-8")))


def test_from_eval_to_score_and_back(f2r: Run, pictured: Path, tiny_clip: Path) -> None:
    command = ("eval", "-m", "oracle", "-t", pictured, "--encoder", f"hf:{tiny_clip}")
    ended = f2r(*command)
    assert ended.code == 0
    assert "embedding 聊天: 15/15" in ended.err  # ten texts, three queries, two pictures
    found = stored()
    strict = found["strict"]
    assert strict["similarity"]["encoder"] == f"hf:{tiny_clip}"
    assert strict["similarity"]["undefined"] == {"relevance": 1, "coherence": 2}
    gold = strict["similarity"]["gold"]
    assert -1 <= strict["coherence"] == gold["coherence"] <= 1  # the oracle's fragments are gold
    assert strict["relevance"] == gold["relevance"]
    oracle = [line.split() for line in ended.out.splitlines() if line.startswith("oracle")]
    assert oracle[0] == ["oracle", "reference", *["100.00"] * 4]
    assert oracle[1][1] == f"{strict['relevance']:.3f}"
    assert f2r("table", "runs").out.splitlines() == ended.out.splitlines()[:-1]

    [run] = Path("runs").glob("*/oracle-*")
    before = (run / "scores.json").read_bytes()
    again = f2r("score", run, "--json", "-")
    assert (again.code, again.err) == (0, "")
    assert json.loads(again.out) == strict
    assert (run / "scores.json").read_bytes() == before

    bare = ("score", run / "predictions.jsonl", "--encoder", f"hf:{tiny_clip}", "--json", "-")
    complaint = f2r(*bare).complaint()
    assert "no such image" in complaint
    assert "--data-root" in complaint
    beside = f2r(*bare, "--data-root", pictured.parent)
    assert json.loads(beside.out) == found["published"]
    shares = f2r("score", run, "--shares")
    assert f"relevance {strict['relevance']:.3f} (random " in shares.out

    assert f2r("score", run, "--encoder", "none").code == 0
    assert stored()["strict"]["relevance"] is None


def test_what_is_cached_needs_no_model(
    f2r: Run, pictured: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("-t", pictured, "--encoder", f"hf:{tiny_clip}", "--quiet")
    assert f2r("eval", "-m", "oracle", *command).code == 0
    monkeypatch.setattr(clip.CLIP, "_model", None)
    ended = f2r("eval", "-m", "everything", *command)
    assert (ended.code, ended.err) == (0, "")
    assert isinstance(stored("everything-*")["strict"]["coherence"], float)


def test_without_an_encoder_one_line_says_how_to_get_it(f2r: Run, chats: Path, tmp_path: Path) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("别的"))
    ended = f2r("eval", "-m", "oracle", "-t", chats, other, "--out", "runs")
    assert ended.code == 0
    [line] = [line for line in ended.err.splitlines() if "relevance" in line]
    assert line.startswith("relevance and coherence are not measured: ")
    assert "`hf download openai/clip-vit-base-patch32`" in line
    assert "--encoder hf:/path/to/folder" in line
    assert "relevance" not in ended.out
    for file in Path("runs").rglob("scores.json"):
        strict = json.loads(file.read_text(encoding="utf-8"))["strict"]
        assert (strict["relevance"], strict["coherence"]) == (None, None)
        assert strict["joint"]["f1"] == 1
    quiet = f2r("eval", "-m", "oracle", "-t", chats, "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    run = next(Path("runs/聊天").iterdir())
    scored = f2r("score", run)
    assert scored.code == 0
    assert scored.err == f"f2r: {line}\n"  # it is tried again, and says so again
    assert f2r("score", *Path("runs/聊天").iterdir()).err == scored.err


def test_none_is_said_to_nobody(f2r: Run, chats: Path) -> None:
    ended = f2r("eval", "-m", "oracle", "-t", chats, "--encoder", "none")
    assert ended.code == 0
    assert "relevance" not in ended.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clip", "no encoder 'clip'"),
        ("hf:./没有", "no such folder"),
        ("hf:", "no encoder 'hf:'"),
    ],
)
def test_an_encoder_that_is_asked_for_has_to_be_there(
    f2r: Run, chats: Path, name: str, said: str
) -> None:
    assert said in f2r("eval", "-m", "oracle", "-t", chats, "--encoder", name).complaint()
    assert not Path("runs").exists()


def test_a_picture_that_is_none_ends_what_was_asked_for(f2r: Run, chats: Path, tiny_clip: Path) -> None:
    ended = f2r("eval", "-m", "oracle", "-t", chats, "--encoder", f"hf:{tiny_clip}", "--quiet")
    assert "not a picture" in ended.complaint()


def test_a_run_whose_data_is_gone_cannot_be_embedded(f2r: Run, pictured: Path, tiny_clip: Path) -> None:
    assert f2r("eval", "-m", "oracle", "-t", pictured, "--encoder", "none").code == 0
    pictured.unlink()
    [run] = Path("runs").glob("*/oracle-*")
    assert f2r("score", run).code == 0
    assert "nothing to embed" in f2r("score", run, "--encoder", f"hf:{tiny_clip}").complaint()


def test_the_mini_sets_have_their_own(
    f2r: Run, small_mini: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NAMED, "clip-nano", str(tiny_clip))
    ended = f2r("eval", "-m", "bm25", "-t", "mini-mldr", "example", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert "relevance and coherence by clip-nano; " in ended.out
    [mini] = Path("runs/mini-mldr").glob("*/scores.json")
    assert json.loads(mini.read_text())["strict"]["similarity"]["encoder"] == "clip-nano"
    [example] = Path("runs/example").glob("*/scores.json")
    assert json.loads(example.read_text())["strict"]["coherence"] is None


def test_where_nothing_is_embedded_torch_is_not_loaded() -> None:
    code = (
        "import sys\n"
        "from f2rcli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "eval", "-m", "bm25", "-t", "example", "--quiet"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "False\n")
