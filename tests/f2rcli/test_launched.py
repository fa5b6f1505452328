"""`f2r eval` in several processes, as a launcher starts them; killed, and gone on with by others."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import lines
from short_chats import picture
from torch.distributed import HashStore

from f2rcli.results import processes

Run = Callable[..., Any]
SLOW = """
import os
import time
from f2rcli.adapters.retriever import Retriever, found, seeded
from f2rcli.tasks.types import Fragment

class Slow(Retriever):
    uses_images = False

    def retrieve(self, requests):
        for number, request in enumerate(requests):
            time.sleep(float(os.environ["NAP"]))
            if number == 2 and os.environ.get("RAISES", "nobody") == os.environ.get("RANK"):
                raise ZeroDivisionError("除以零")
            ids = sorted(request.dialogue.everything.utterances)
            yield found(request, Fragment(frozenset(seeded(0, request).sample(ids, 4))))
"""
UNITS = 6 * 6
DERIVED = ("predictions.jsonl", "scores.json")


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task of six chats with real pictures and six queries each, and a slow model for it."""
    (tmp_path / "slow.py").write_text(SLOW)
    queries = {f"第{k}个问题": [k, k + 1] for k in range(6)}
    chats = [handmade.chat(f"聊天{i}", turns=9 + i, queries=queries) for i in range(6)]
    file = handmade.write_chats(tmp_path / "数据", *chats)
    for image in (file.parent / "图片").iterdir():
        picture(image)
    return file


def start(count: int, task: Path, out: Path, *words: str, **environment: str) -> Any:
    """Of one process without a launcher."""
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(count)] if count > 1 else []
    models = words or ("--model", f"{task.parent.parent}/slow.py:Slow")
    command = ["-m", "f2rcli", "eval", "--task", str(task), "--out", str(out), *models]
    return subprocess.Popen(
        [sys.executable, *launcher, *command, "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NAP": "0.05", **environment},
    )


def finish(count: int, task: Path, out: Path, *words: str) -> tuple[str, str]:
    process = start(count, task, out, *words, NAP="0")
    said, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return said, err


def answers(out: Path) -> list[bytes]:
    """The whole lines of all files of answers."""
    return [
        line
        for file in out.rglob("answers*.jsonl")
        for line in file.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


def killed(count: int, task: Path, out: Path) -> list[bytes]:
    """Kill a launch, all its processes at once, when half is answered; what is then on disk."""
    process = start(count, task, out)
    deadline = time.monotonic() + 120
    while len(answers(out)) < UNITS // 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no answers"
        time.sleep(0.01)
    below = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(below) == (count if count > 1 else 0)
    for one in (*map(int, below), process.pid):
        os.kill(one, signal.SIGKILL)
    process.communicate()
    kept = answers(out)
    assert UNITS // 2 <= len(kept) < UNITS
    assert len(list(out.rglob("answers*.jsonl"))) == count
    return kept


def check(out: Path, undisturbed: Path, kept: list[bytes]) -> None:
    """What was answered is still there, and nothing was asked twice."""
    [folder], [whole] = ([file.parent for file in o.rglob("run.json")] for o in (out, undisturbed))
    assert set(kept) <= set(answers(out))
    counts = Counter(json.loads(line)["request"] for line in answers(out))
    assert (len(counts), set(counts.values())) == (UNITS, {1})
    assert {file.name for file in folder.iterdir()} == {file.name for file in whole.iterdir()}
    for name in DERIVED:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["finished"]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes as Linux shows them")
@pytest.mark.parametrize(
    ("before", "after"),
    [(2, 1), pytest.param(1, 3, marks=pytest.mark.slow), pytest.param(3, 2, marks=pytest.mark.slow)],
)
def test_a_killed_run_goes_on_with_another_number_of_processes(
    task: Path, tmp_path: Path, before: int, after: int
) -> None:
    finish(1, task, tmp_path / "一次")
    kept = killed(before, task, tmp_path / "断电")
    _, err = finish(after, task, tmp_path / "断电")
    assert f"{UNITS}/{UNITS}" in err
    check(tmp_path / "断电", tmp_path / "一次", kept)


def without_seconds(file: Path) -> list[dict[str, Any]]:
    found = lines(file)
    for line in found:
        line["f2r"].pop("seconds", None)
    return found


@pytest.mark.slow
def test_two_processes_make_what_one_makes(
    task: Path, tmp_path: Path, tiny_qwen2_vl: Path, tiny_clip: Path
) -> None:
    """A checkpoint, an embedding model (whose vectors both write into one cache), and bm25."""
    models = ["--model", f"hf:{tiny_qwen2_vl}", f"embed:{tiny_clip}", "bm25", "--top-k", "3"]
    words = [*models, "--encoder", "clip-nano", "--max-new-tokens", "12"]
    shared, err = finish(2, task, tmp_path / "二", *words)
    alone, _ = finish(1, task, tmp_path / "一", *words)
    assert shared.replace(str(tmp_path / "二"), str(tmp_path / "一")) == alone  # and once
    assert err.count("loading its checkpoint") == 1
    assert "Traceback" not in err
    runs = {file.parent.name: file.parent for file in (tmp_path / "一").rglob("run.json")}
    assert len(runs) == 3
    for one in runs.values():
        [two] = (tmp_path / "二").rglob(one.name)
        assert {file.name for file in two.iterdir()} == {file.name for file in one.iterdir()}
        texts = [{a["request"]: a["text"] for a in lines(r / "answers.jsonl")} for r in (one, two)]
        assert texts[0] == texts[1]
        assert len(lines(two / "answers.jsonl")) == UNITS
        predicted = [without_seconds(run / "predictions.jsonl") for run in (one, two)]
        assert predicted[0] == predicted[1]
        exact = [file.name for file in one.iterdir() if file.name in ("scores.json", "curve.json")]
        assert [(one / name).read_bytes() for name in exact] == [
            (two / name).read_bytes() for name in exact
        ]
    assert {file.name for file in tmp_path.glob("二/*/*/curve.json")} == {"curve.json"}


@pytest.mark.slow
def test_an_exception_in_one_process_ends_all_and_is_told_once(task: Path, tmp_path: Path) -> None:
    process = start(2, task, tmp_path / "坏", RAISES="1")
    said, err = process.communicate(timeout=120)
    assert process.returncode == 1  # the launcher's own, whatever f2r's was
    assert said == ""
    [line] = [line for line in err.splitlines() if line.startswith("f2r: ")]
    assert "slow.py:" in line
    assert "ZeroDivisionError: 除以零; the answers before it are kept" in line
    assert len(lines(next(tmp_path.rglob("answers-1.jsonl")))) == 2
    kept = answers(tmp_path / "坏")
    assert 3 <= len(kept) < UNITS
    finish(1, task, tmp_path / "一次")
    finish(2, task, tmp_path / "坏")
    check(tmp_path / "坏", tmp_path / "一次", kept)


@pytest.mark.slow
def test_what_all_processes_find_wrong_is_told_once(tmp_path: Path) -> None:
    process = start(2, Path("没有这个任务"), tmp_path, "--model", "bm25")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    [line] = [line for line in err.splitlines() if line.startswith("f2r: ")]
    assert "没有这个任务" in line


def test_an_api_model_wants_no_processes(f2r: Run, monkeypatch: pytest.MonkeyPatch, chats: Path) -> None:
    two = processes.Processes(0, 2, HashStore())
    monkeypatch.setattr(processes, "launched", lambda: two)
    ended = f2r("eval", "-m", "openai:m", "-t", chats)
    assert "openai:m is behind an API" in ended.complaint()
    assert "--concurrency" in ended.err
