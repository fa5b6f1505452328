"""f2r train curriculum: the command from outside."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import lines

Run = Callable[..., Any]


def write_recipe(path: Path, base: str, data: str) -> Path:
    keys = {"stage": "curriculum", "base": base, "data": data, "precision": "float32"}
    text = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    path.write_text("\n".join([*text, "batch_size = 4", "max_pixels = 3136"]), encoding="utf-8")
    return path


@pytest.fixture
def recipe(tiny_qwen2_vl: Path, tmp_path: Path) -> Path:
    """Over the chats that ship with the package."""
    return write_recipe(tmp_path / "小.toml", f"hf:{tiny_qwen2_vl}", "example")


def test_the_model_is_asked_and_its_answers_are_ordered(f2r: Run, recipe: Path) -> None:
    ended = f2r("train", "curriculum", "--config", recipe, "--device", "cpu")
    assert ended.code == 0, ended.err
    head, *rows = ended.out.splitlines()
    assert head.split("  ")[0] == "class"
    cells = {row.split()[0]: row.split()[1:] for row in rows[:5]}
    assert list(cells) == ["easy", "middle", "confusing", "hard", "all"]
    assert cells["all"][0] == "7" == str(sum(int(cells[name][0]) for name in list(cells)[:4]))
    assert rows[5].startswith("quartiles: F1 ")
    assert "example, 7 requests, published protocol" in rows
    assert any(row.startswith("failures: ") and "7 truncated" in row for row in rows)
    file = Path("runs/curriculum/小/curriculum.jsonl")
    assert rows[-1] == f"curriculum: {file}"
    assert len(lines(file)) == 1 + int(cells["all"][2])
    assert file.with_name("curriculum.svg").is_file()
    again = f2r("train", "curriculum", "--config", recipe, "--device", "cpu")
    assert (again.code, again.out) == (0, ended.out)


def test_a_prediction_file_needs_no_model_and_no_torch(golden: Path, tmp_path: Path) -> None:
    """The published data and answers; the base of the recipe is not even there."""
    folder = golden / "curriculum"
    recipe = write_recipe(tmp_path / "官方.toml", "hf:没有", str(folder / "train.json"))
    code = (
        "import sys\nfrom f2rcli.main import main\ntry:\n    main()\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    words = ["train", "curriculum", "--config", str(recipe), "--out", str(tmp_path / "课程")]
    words += ["--predictions", str(folder / "cold_start_predictions.jsonl")]
    command = [sys.executable, "-c", code, *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines() == [
        "class      samples  dropped  kept  mean F1, %  mean entropy",
        "easy            11        3     8      100.00         2.508",
        "middle          19        2     1       90.87         3.026",
        "confusing       43        0    21       70.78         3.263",
        "hard            47        0    47       55.81         4.587",
        "all            120        5    77       70.77         3.675",
        "quartiles: F1 50.00, 76.73, 100.00; entropy 2.943, 3.324, 3.871",
        "train, 120 requests, published protocol",
        "7 answers without log-probabilities: entropy 10",
        f"curriculum: {tmp_path}/课程/curriculum.jsonl",
        "False",
    ], ended.stderr
    theirs = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["curriculum_order"]
    chosen = lines(tmp_path / "课程/curriculum.jsonl")[1:]
    assert [line["request"].removesuffix(":0") for line in chosen] == theirs


def test_unanswered_requests_are_exit_code_3_and_no_curriculum(
    f2r: Run, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from f2rcli.adapters.vlm import VLM

    def failing(self: VLM, batch: list[Any]) -> Any:
        raise RuntimeError("no memory left")

    monkeypatch.setattr(VLM, "_retrieved", failing)
    ended = f2r("train", "curriculum", "--config", recipe, "--device", "cpu")
    assert (ended.code, ended.out) == (3, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith("f2r: 7 unanswered, such as ")
    assert last.endswith(": no memory left; the same command asks again")
    assert not list(Path("runs/curriculum/小").glob("curriculum.*"))


def test_what_cannot_be_made_is_one_line(f2r: Run, recipe: Path, golden: Path, tmp_path: Path) -> None:
    words = ("train", "curriculum", "--config")
    assert "no such recipe" in f2r(*words, "nonesuch").complaint()
    assert "stage 'sft' is not curriculum" in f2r(*words, "nano-sft").complaint()
    missing = f2r(*words, recipe, "--predictions", tmp_path / "没有.jsonl").complaint()
    assert missing == f"{tmp_path}/没有.jsonl: cannot be read: No such file or directory"
    answers = golden / "curriculum/cold_start_predictions.jsonl"
    assert "no request of" in f2r(*words, recipe, "--predictions", answers).complaint()
    recipe = write_recipe(tmp_path / "未训.toml", "hf:runs/sft/nano-sft/checkpoint", "example")
    line = "no such folder; `f2r train sft --config nano-sft` makes it"
    assert f2r(*words, recipe).complaint() == f"runs/sft/nano-sft/checkpoint: {line}"
