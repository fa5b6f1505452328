"""`f2r train rewards`: what a recipe gives to answers that are there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import official
import pytest
from official import EMPTY, answer
from short_chats import picture

Run = Callable[..., Any]
TURNS = ("user1: 你家猫找到了吗", "user2: 找到了 🖼", "user1: 真可爱🐱", "user2: 谢谢")
GOLD = answer([0, 1], [0])


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "嵌入"))


@pytest.fixture
def plain() -> Path:
    """A recipe without order similarity."""
    return written("朴素.toml", f1=1, format=0.3)


@pytest.fixture
def ordered() -> Path:
    return written("顺序.toml", f1=1, order_similarity=1, format=0.3)


def written(name: str, **weights: float) -> Path:
    path = Path(name)
    lines = [f"{reward} = {weight}" for reward, weight in weights.items()]
    path.write_text("\n".join(['stage = "grpo"', "[rewards]", *lines]), encoding="utf-8")
    return path


def predictions(*responses: str) -> Path:
    lines = [
        official.line(*TURNS, response=response, labels=GOLD, dialogue_id=f"对话{i}")
        for i, response in enumerate(responses)
    ]
    return official.write(Path("回答.jsonl"), *lines)


def test_a_table_of_completions_and_their_means(f2r: Run, plain: Path) -> None:
    file = predictions(GOLD, answer([0, 0, 1, 1], [0]), "找到了：\n0 和 1", answer([0, 1]))
    ended = f2r("train", "rewards", file, "--recipe", plain, "--limit", "3")
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    # twice as many listed as right: F1 2/3, two too many
    assert rows[0] == ["request", "f1", "format", "total", "completion"]
    assert rows[1] == ["对话0", "1.000", "1.000", "1.300", *GOLD.split()]
    assert rows[2][:4] == ["对话1", "0.801", "0.000", "0.801"]
    assert rows[3] == ["对话2", "0.000", "0.000", "0.000", r"找到了：\n0", "和", "1"]
    assert rows[4] == ["…", "1", "more"]
    assert rows[5] == ["mean", "0.575", "0.500", "0.725"]
    basis = "4 completions, 75.00 % of them strict; total = 1 f1 + 0.3 format"
    assert ended.out.splitlines()[6:] == [basis]


def test_json_has_every_completion_whole(f2r: Run, plain: Path) -> None:
    long = answer(range(100), [0])
    file = predictions(long, GOLD)
    words = ("train", "rewards", file, "--recipe", plain, "--limit", "0")
    found = [json.loads(line) for line in f2r(*words, "--json", "-").out.splitlines()]
    assert [one["completion"] for one in found] == [long, GOLD]
    assert found[1] == {
        "request": "对话1",
        "rewards": {"f1": 1.0, "format": 1.0},
        "total": 1.3,
        "strict": True,
        "completion": GOLD,
    }
    ended = f2r(*words, "--json", "奖励.jsonl")
    lines = Path("奖励.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == found
    assert "… 2 more" in ended.out
    assert "--json is the file" in f2r(*words, "--json", file).complaint()


def test_order_similarity_by_an_encoder(f2r: Run, ordered: Path, tiny_clip: Path) -> None:
    file = predictions(answer([0, 2, 3]), answer([0], [0]), answer([2]), "无")
    words = ("train", "rewards", file, "--recipe", ordered, "--encoder", f"hf:{tiny_clip}")
    assert "no such image" in f2r(*words).complaint()
    Path("图片").mkdir()
    picture(Path("图片/0.jpg").with_suffix(".png")).rename("图片/0.jpg")
    ended = f2r(*words, "--json", "-")
    assert ended.code == 0
    assert "embedding 回答.jsonl: 6/6" in ended.err  # four texts, the query, the picture
    values = [json.loads(line)["rewards"]["order_similarity"] for line in ended.out.splitlines()]
    assert -1 <= values[0] <= 1
    assert -1 <= values[1] <= 1
    assert values[0] != values[1]
    assert values[2:] == [0.5, 0]
    again = f2r(*words)
    assert (again.code, again.err) == (0, "")  # all of it was kept
    assert again.out.splitlines()[0].split()[1:4] == ["f1", "order_similarity", "format"]
    assert again.out.endswith("total = 1 f1 + 1 order_similarity + 0.3 format\n")


def test_an_encoder_that_is_not_there_is_one_line_and_not_zeros(f2r: Run, ordered: Path) -> None:
    words = ("train", "rewards", predictions(GOLD), "--recipe", ordered)
    complaint = f2r(*words).complaint()
    assert "`hf download openai/clip-vit-base-patch32`" in complaint
    assert "--encoder" in complaint
    none = f2r(*words, "--encoder", "none").complaint()
    assert none.startswith("order similarity is of embeddings, and no encoder is named for 回答")


def test_a_run_folder_brings_its_data_and_its_encoder(
    f2r: Run, chats: Path, ordered: Path, tiny_clip: Path
) -> None:
    for seed, file in enumerate(sorted((chats.parent / "图片").iterdir())):
        picture(file, seed)
    encoder = f"hf:{tiny_clip}"
    assert f2r("eval", "-m", "oracle", "-t", chats, "--encoder", encoder, "--quiet").code == 0
    [run] = Path("runs").glob("*/oracle-*")
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    ended = f2r("train", "rewards", run, "--recipe", ordered, "--json", "-")
    assert (ended.code, ended.err) == (0, "")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [one["request"] for one in found] == ["露营:0", "露营:1", "露营:2"]
    assert [one["rewards"]["f1"] for one in found] == [1, 1, 1]
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))["strict"]
    values = [one["rewards"]["order_similarity"] for one in found]
    # three turns; one picture; nothing, which is right. Coherence is defined for the first alone.
    assert values == [pytest.approx(scores["coherence"]), 0.5, 1]
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_predictions_of_other_requests_than_the_runs(f2r: Run, chats: Path, plain: Path) -> None:
    assert f2r("eval", "-m", "oracle", "-t", chats, "--encoder", "none", "--quiet").code == 0
    [run] = Path("runs").glob("*/oracle-*")
    file = run / "predictions.jsonl"
    file.write_text(file.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    complaint = f2r("train", "rewards", run, "--recipe", plain).complaint()
    assert complaint.startswith(f"{run}: the predictions are not of the run's requests; `f2r score ")


def test_what_is_no_completion_is_said(
    f2r: Run, data_root: Path, plain: Path, model: Callable[[str], str]
) -> None:
    own = model(
        "yield Retrieval(request.id, failure=Failure('refused', '不')) if i == 0 "
        "else found(request, request.dialogue.everything)"
    )
    words = ("eval", "-m", own, "-t", "mldr", "--data-root", data_root, "--encoder", "none", "--quiet")
    assert f2r(*words).code == 0
    [run] = Path("runs").glob("*/*")
    ended = f2r("train", "rewards", run, "--recipe", plain)
    assert ended.code == 0
    assert ended.err == f"f2r: {run}: 1 lines hold no answer, which counts as an empty completion\n"


def test_merged_slices_are_said(f2r: Run, golden: Path, plain: Path) -> None:
    slices, whole = (golden / "sliding" / name for name in ("slice_predictions.jsonl", "original.json"))
    assert f2r("data", "merge", slices, whole, "-o", "合并.jsonl").code == 0
    ended = f2r("train", "rewards", "合并.jsonl", "--recipe", plain)
    assert ended.code == 0
    assert " lines are merged of a long dialogue's slices" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("没有.jsonl", "--recipe", "朴素.toml"), "没有.jsonl: neither a run folder nor"),
        (("回答.jsonl", "--recipe", "没有"), "没有: no such recipe"),
        (("回答.jsonl", "--recipe", "nano-sft"), "nano-sft.toml: no table rewards in it"),
        (("回答.jsonl",), "Missing option '--recipe'"),
        (("坏.jsonl", "--recipe", "朴素.toml"), "坏.jsonl:1 (record 0): labels is missing"),
    ],
)
def test_what_cannot_be_rewarded_is_one_line(
    f2r: Run, plain: Path, words: tuple[str, ...], said: str
) -> None:
    predictions(GOLD)
    bad = official.line(*TURNS)
    del bad["labels"]
    official.write(Path("坏.jsonl"), bad)
    assert f2r("train", "rewards", *words).complaint().startswith(said)


def test_the_golden_values_from_end_to_end(f2r: Run, golden: Path) -> None:
    text = (golden / "rewards/rewards.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    lines = [
        {
            "response": row["completion"],
            "labels": row["solution"],
            "messages": row["messages"],
            "images": [f"{i}.jpg" for i in range(len(row["image_embeddings"]))],
        }
        for row in rows
    ]
    recipe = written("三个.toml", f1=1, mcc=1, exact_match=1)
    file = official.write(Path("黄金.jsonl"), *lines)
    ended = f2r("train", "rewards", file, "--recipe", recipe, "--json", "-")
    found = [json.loads(line)["rewards"] for line in ended.out.splitlines()]
    theirs = [row["expected"] for row in rows]
    for ours, name in (("f1", "f1"), ("mcc", "mcc"), ("exact_match", "accuracy")):
        assert [one[ours] for one in found] == pytest.approx([one[name] for one in theirs], abs=1e-12)


def test_without_order_similarity_torch_is_not_loaded(plain: Path) -> None:
    code = (
        "import sys\n"
        "from f2rcli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    words = ["train", "rewards", str(predictions(EMPTY)), "--recipe", str(plain)]
    ended = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert (ended.returncode, ended.stderr) == (0, "False\n")
