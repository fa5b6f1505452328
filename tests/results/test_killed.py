"""kill -9 at any moment: the same command goes on, and ends as if nothing had happened."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import handmade
import pytest
from handmade import lines

SLOW = """
import pathlib
import time
from f2rcli.adapters.retriever import Retriever, found, seeded
from f2rcli.tasks.types import Fragment

class Slow(Retriever):
    uses_images = False
    max_turns = 100

    def retrieve(self, requests):
        for request in requests:
            time.sleep(0.05)
            while pathlib.Path(__file__).with_name("wait").exists():
                time.sleep(0.01)
            ids = sorted(request.dialogue.everything.utterances)
            yield found(request, Fragment(frozenset(seeded(0, request).sample(ids, 4))))
"""
UNITS = 4 * 5 + 4  # four chats with five queries each, and two queries over two slices
DERIVED = ("predictions.jsonl", "scores.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slow model and a task for it."""
    folder = tmp_path_factory.mktemp("断电")
    (folder / "slow.py").write_text(SLOW)
    queries = {f"第{k}个问题": [k, k + 1] for k in range(5)}
    chats = [handmade.chat(f"聊天{i}", queries=queries) for i in range(4)]
    chats.append(handmade.chat("长聊天", turns=130, queries={"开头": [1, 2], "结尾": [128]}))
    handmade.write_chats(folder, *chats)
    return folder


def start(place: Path, out: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "f2rcli", "eval", "--model", f"{place}/slow.py:Slow"]
    command += ["--task", str(place / "聊天.json"), "--out", str(place / out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(place: Path, out: str, *options: str) -> Path:
    process = start(place, out, *options)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return run_folder(place, out)


def run_folder(place: Path, out: str) -> Path:
    [record] = (place / out).rglob("run.json")
    return record.parent


def wait_for_answers(place: Path, out: str, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has so many answers; fail if it ends, or nothing comes, before that."""
    deadline = time.monotonic() + 60
    while sum(f.read_bytes().count(b"\n") for f in (place / out).rglob("answers.jsonl")) < count:
        assert process.poll() is None, "it ended before it was interrupted"
        assert time.monotonic() < deadline, "no answers for a minute"
        time.sleep(0.005)


def killed_after(place: Path, out: str, count: int, *options: str) -> Path:
    """Kill a run once it has so many answers; the folder that it leaves."""
    process = start(place, out, *options)
    try:
        wait_for_answers(place, out, count, process)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    folder = run_folder(place, out)
    assert count <= (folder / "answers.jsonl").read_bytes().count(b"\n") < UNITS
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["finished"] is None
    return folder


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> Path:
    return finish(place, "一次跑完")


def check(folder: Path, undisturbed: Path) -> None:
    kept = Counter(line["request"] for line in lines(folder / "answers.jsonl"))
    assert len(kept) == UNITS
    assert set(kept.values()) == {1}
    for name in DERIVED:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["finished"]


@pytest.mark.parametrize("count", [1, UNITS // 2, UNITS - 8])
def test_a_run_killed_once_ends_like_an_undisturbed_one(
    place: Path, undisturbed: Path, count: int
) -> None:
    out = f"第{count}个之后"
    folder = killed_after(place, out, count)
    with (folder / "answers.jsonl").open("ab") as file:
        file.write('{"request": "聊天3:4", "text": "<|utt_ids_st'.encode()[:-count])  # torn anywhere
    assert finish(place, out) == folder
    check(folder, undisturbed)


def test_a_killed_run_under_a_probe_goes_on_under_it(place: Path, undisturbed: Path) -> None:
    probe = ("--probe", "shuffle-turns", "--seed", "3")
    folder = killed_after(place, "探针", UNITS // 2, *probe)
    assert finish(place, "探针", *probe) == folder
    check(folder, finish(place, "探针一次跑完", *probe))
    plain, probed = (lines(run / "predictions.jsonl") for run in (undisturbed, folder))
    assert [line["f2r"]["request"] for line in probed] == [line["f2r"]["request"] for line in plain]
    assert all(a["labels"] != b["labels"] for a, b in zip(plain, probed, strict=True))


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_like_an_undisturbed_one(
    place: Path, undisturbed: Path
) -> None:
    counts = (2, 9, 15, UNITS - 8)
    folders = {killed_after(place, "一次又一次", count) for count in counts}
    assert folders == {finish(place, "一次又一次")}
    [folder] = folders
    check(folder, undisturbed)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert len(record["sessions"]) == len(counts) + 1


def test_a_second_process_is_refused_and_the_first_goes_on(place: Path, undisturbed: Path) -> None:
    first = start(place, "两个进程")
    wait_for_answers(place, "两个进程", 1, first)
    (place / "wait").touch()
    try:
        second = start(place, "两个进程")
        out, err = second.communicate(timeout=60)
    finally:
        (place / "wait").unlink()
    assert (second.returncode, out) == (2, "")
    [line] = err.splitlines()
    assert line.startswith("f2r: ")
    assert "another process is writing this run" in line
    first.communicate(timeout=60)
    assert first.returncode == 0
    check(run_folder(place, "两个进程"), undisturbed)


def test_an_interrupted_run_says_so_and_goes_on(place: Path, undisturbed: Path) -> None:
    """Control-C: exit code 130, a line on standard error, and nothing is lost."""
    process = start(place, "被打断")
    wait_for_answers(place, "被打断", 3, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    [line] = err.split("\n")[1:-1] if err.startswith("\n") else err.splitlines()
    assert line.startswith("f2r: interrupted")
    check(finish(place, "被打断"), undisturbed)
