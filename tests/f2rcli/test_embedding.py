"""Embedding retrievers on the command line: eval, calibrate, score and retrieve."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
import pytest
import tiny_encoders
from handmade import lines, scores
from short_chats import picture

from f2rcli.adapters.registry import load_rows
from f2rcli.results.runs import RunFolder
from f2rcli.tasks.answers import parse_strict

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "缓存"))


@pytest.fixture
def pictured(chats: Path) -> Path:
    """The chats, with pictures that are some."""
    for seed, file in enumerate(sorted((chats.parent / "图片").iterdir())):
        picture(file, seed)
    return chats


def only(pattern: str = "runs/*/*") -> RunFolder:
    [folder] = Path().glob(pattern)
    return RunFolder(folder)


def test_clip_nano_from_eval_to_its_curve_and_back(f2r: Run, small_mini: Path) -> None:
    command = ("eval", "-m", "clip-nano", "-t", "mini-mldr", "--limit", "6", "--encoder", "none")
    ended = f2r(*command, "--quiet")
    assert (ended.code, ended.err) == (0, "")
    run = only()
    row = load_rows()["clip-nano"]
    identity = run.record()["identity"]["model"]
    thresholds = [row.settings[f"{kind}_threshold"] for kind in ("utterance", "image")]
    assert list(identity["thresholds"].values()) == thresholds
    assert identity["encoder"] == row.settings["chosen_with"]
    curve = json.loads((run.path / "curve.json").read_text(encoding="utf-8"))
    assert curve["requests"] == 6
    [own] = [point for point in curve["points"] if point["offset"] == 0]
    assert [own["utterance_threshold"], own["image_threshold"]] == thresholds
    strict = scores(run)["strict"]
    for part in ("utterance", "image", "joint"):
        assert own[part] == pytest.approx({rate: strict[part][rate] for rate in own[part]})
    assert strict["joint"]["f1"] > 0
    assert 0 < curve["average_precision"]["utterance"] <= 1

    before = (run.path / "curve.json").read_bytes()
    (run.path / "curve.json").unlink()
    assert f2r("score", run.path, "--encoder", "none").code == 0
    assert (run.path / "curve.json").read_bytes() == before
    assert f2r(*command, "--quiet") == ended  # and nothing is asked again
    assert len(lines(run.path / "answers.jsonl")) == 6


def test_similarities_that_were_meddled_with_are_named(f2r: Run, small_mini: Path) -> None:
    command = ("eval", "-m", "clip-nano", "-t", "mini-mldr", "--limit", "2", "--encoder", "none")
    assert f2r(*command).code == 0
    file = only().path / "answers.jsonl"
    first, second = lines(file)
    first["details"]["similarity"]["utterances"].append(0.5)
    file.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n", encoding="utf-8")
    complaint = f2r("score", only().path, "--encoder", "none").complaint()
    assert f"the similarities of {first['request']} are not of its dialogue" in complaint
    assert str(file) in complaint


def test_a_number_instead_of_thresholds_is_another_run(f2r: Run, pictured: Path) -> None:
    command = ("eval", "-m", "clip-nano", "-t", pictured, "--encoder", "none", "--quiet")
    for more in ((), ("--top-k", "1"), ("--top-k", "3")):
        assert f2r(*command, *more).code == 0
    folders = list(Path("runs/聊天").iterdir())
    assert len(folders) == 3
    taken = {}
    for folder in folders:
        number = RunFolder(folder).record()["identity"]["model"].get("top_k")
        answers = [parse_strict(line["text"]) for line in lines(folder / "answers.jsonl")]
        taken[number] = [(len(a.utterances), len(a.images)) for a in answers if a]
        assert (folder / "curve.json").is_file()
    assert (taken[1], taken[3]) == ([(1, 1)] * 3, [(3, 2)] * 3)  # there are two pictures


@pytest.mark.parametrize("model", ["embed:{}", "自己的"])
def test_without_thresholds_one_line_says_how_to_get_some(
    f2r: Run, pictured: Path, tiny_clip: Path, model: str
) -> None:
    registry = Path("行.toml")
    registry.write_text(
        f'["自己的"]\nkind = "embedding"\ncheckpoint = "{tiny_clip}"\n', encoding="utf-8"
    )
    name = model.format(tiny_clip)
    command = ("eval", "-m", name, "-t", pictured, "--registry", registry, "--encoder", "none")
    complaint = f2r(*command, "--quiet").complaint()
    assert complaint.startswith(f"{name} has no thresholds; `f2r calibrate --model {name} ")
    assert "--top-k" in complaint
    assert f2r(*command, "--top-k", "2").code == 0
    registry.write_text(registry.read_text(encoding="utf-8") + "top_k = 2\n", encoding="utf-8")
    if model == "自己的":
        again = f2r(*command)  # the row says it
        assert (again.code, len(list(Path("runs/聊天").iterdir()))) == (0, 1)


def test_what_has_no_thresholds_is_refused_before_anything_runs(f2r: Run, chats: Path) -> None:
    complaint = f2r("eval", "-m", "nothing", "clip:l14", "-t", chats, "--encoder", "none").complaint()
    assert "`f2r calibrate --model clip:l14 " in complaint
    assert not Path("runs").exists()


def test_thresholds_are_chosen_kept_and_used(f2r: Run, pictured: Path, tiny_clip: Path) -> None:
    name = f"embed:{tiny_clip}"
    ended = f2r("calibrate", "-m", name, "-t", pictured, "--name", "小的", "-o", "行.toml")
    assert ended.code == 0
    [line] = ended.out.splitlines()
    assert line.startswith("threshold of utterances ")
    row = tomllib.loads(Path("行.toml").read_text(encoding="utf-8"))["小的"]
    assert row["checkpoint"] == str(tiny_clip)
    assert "3 requests, SHA-256" in row["chosen_on"]
    assert "every pair" in row["searched"]
    run = f2r("eval", "-m", "小的", "-t", pictured, "--registry", "行.toml", "--encoder", "none")
    assert run.code == 0
    told = "小的 on 聊天: its thresholds were chosen on this file"
    assert f"f2r: {told}\n" in run.err
    assert told in run.out.splitlines()
    assert only().record()["cautions"] == ["its thresholds were chosen on this file"]
    strict = scores(only())["strict"]
    assert f"strict joint F1 {100 * strict['joint']['f1']:.2f} % on 3 requests" in line
    other = handmade.write_chats(pictured.parent / "别的", handmade.chat("别的"))
    for seed, file in enumerate(sorted((other.parent / "图片").iterdir())):
        picture(file, seed)
    quiet = f2r("eval", "-m", "小的", "-t", other, "--registry", "行.toml", "--encoder", "none")
    assert (quiet.code, "chosen on" in quiet.err) == (0, False)
    near = f2r(
        "eval", "-m", "小的", "-t", pictured, "--registry", "行.toml", "--top-k", "2", "--out", "近"
    )
    assert (near.code, "chosen" in near.err + near.out) == (0, False)  # it uses none


def test_thresholds_of_nobody_knows_what_are_used_and_marked(f2r: Run, pictured: Path) -> None:
    row = "[a]\nkind = 'embedding'\ncheckpoint = 'package:clip-nano'\nutterance_threshold = 0.5\n"
    Path("行.toml").write_text(row)
    command = (
        "eval",
        "-m",
        "a",
        "-t",
        pictured,
        "--registry",
        "行.toml",
        "--encoder",
        "none",
        "--quiet",
    )
    told = "a on 聊天: nothing says what its thresholds were chosen with"
    assert f2r(*command).err == f"f2r: {told}\n"
    assert told in f2r("table").out.splitlines()
    assert f2r(*command, "--top-k", "2").err == ""


@pytest.mark.parametrize("change", ['query_prompt = "找：{text}"', "context = 1"])
def test_nothing_is_chosen_on_test_data_nor_kept_for_another_use(
    f2r: Run, pictured: Path, tiny_clip: Path, change: str
) -> None:
    name = f"embed:{tiny_clip}"
    test = f2r("calibrate", "-m", name, "-t", f"wechat={pictured}", "--name", "小的", "-o", "行.toml")
    assert "wechat is for testing only" in test.complaint()
    assert not Path("行.toml").exists()
    assert f2r("calibrate", "-m", name, "-t", pictured, "--name", "小的", "-o", "行.toml").code == 0
    chosen = Path("行.toml").read_text(encoding="utf-8")
    Path("行.toml").write_text(f"{chosen}{change}\n", encoding="utf-8")
    command = ("eval", "-m", "小的", "-t", pictured, "--registry", "行.toml", "--encoder", "none")
    complaint = f2r(*command, "--quiet").complaint()
    assert "thresholds were chosen with another checkpoint" in complaint
    assert f2r(*command, "--quiet", "--top-k", "2").code == 0
    command = ("calibrate", "-m", "小的", "-t", pictured, "--registry", "行.toml", "--name", "再", "-o")
    assert f2r(*command, "新.toml").code == 0  # with the change
    asked = ("eval", "-m", "再", "-t", pictured, "--registry", "新.toml", "--encoder", "none")
    assert f2r(*asked, "--quiet").code == 0


def test_an_encoder_of_texts_needs_no_pictures(f2r: Run, chats: Path, tmp_path: Path) -> None:
    """Those of the chats cannot be read, and are turns without text, which go with nothing."""
    name = f"embed:{tiny_encoders.sentences(tmp_path / '句子')}"
    made = f2r("calibrate", "-m", name, "-t", chats, "--name", "读的", "-o", "行.toml")
    assert (made.code, made.out.count("threshold")) == (0, 1)
    row = tomllib.loads(Path("行.toml").read_text(encoding="utf-8"))["读的"]
    command = ("eval", "-m", "读的", "-t", chats, "--registry", "行.toml", "--encoder", "none")
    assert f2r(*command).code == 0
    identity = only().record()["identity"]
    assert identity["images"] is None
    assert set(identity["model"]["thresholds"].values()) == {row["utterance_threshold"]}
    answers = [parse_strict(line["text"]) for line in lines(only().path / "answers.jsonl")]
    assert [a.images for a in answers if a] == [frozenset()] * 3


def test_a_fragment_is_found_in_a_chat(f2r: Run) -> None:
    command = ("retrieve", "-m", "clip-nano", "mini-chat", "the pet that meows", "--json")
    found = json.loads(f2r(*command).out)
    assert {0, 3} <= set(found["images"])  # the pictures of the kitten
    nearest = json.loads(f2r(*command, "--top-k", "1").out)
    assert [len(nearest["utterances"]), len(nearest["images"])] == [1, 1]
    assert set(nearest["images"]) <= {0, 3}


def test_a_number_is_for_embedding_models_only(f2r: Run, chats: Path) -> None:
    evaluated = f2r("eval", "-m", "bm25", "-t", chats, "--top-k", "3")
    asked = f2r("retrieve", "-m", "bm25", chats, "帐篷", "--top-k", "3")
    for ended in (evaluated, asked):
        assert ended.code == 2
        assert "--top-k needs a model of kind embedding" in ended.err


@pytest.mark.parametrize("kind", ["blip2", "sentences"])
def test_what_measures_relevance_has_one_vector_a_picture(
    f2r: Run, pictured: Path, tmp_path: Path, kind: str
) -> None:
    folder = getattr(tiny_encoders, kind)(tmp_path / kind)
    complaint = f2r("eval", "-m", "oracle", "-t", pictured, "--encoder", f"hf:{folder}").complaint()
    assert "relevance and coherence want one vector a picture" in complaint
    assert f2r("eval", "-m", f"embed:{folder}", "-t", pictured, "--top-k", "2", "--quiet").code == 0
