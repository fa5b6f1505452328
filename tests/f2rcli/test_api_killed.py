"""A thousand requests to an endpoint that fails at a fifth of them; killed and interrupted meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import handmade
import pytest
from fault_server import RETRYABLE, FaultServer, faults, serving

KEY = "sk-Gehe1m-0123456789"
QUICK = """
from f2rcli.adapters.api import model
from f2rcli.adapters.api.pacing import Patience
model.PATIENCE = Patience(first=0.001, longest=0.02, timeout=1.0)
from f2rcli.main import main
main()
"""
WORKERS = 8


def task(folder: Path, chats: int) -> Path:
    made = []
    for k in range(chats):
        queries = {f"第{k}个聊天的第{q}个问题": [q % 3] for q in range(5)}
        made.append(handmade.chat(f"聊天{k}", turns=3, queries=queries, pictures=()))
    return handmade.write_chats(folder, *made)


def start(server: FaultServer, kind: str, data: Path, out: Path) -> subprocess.Popen[str]:
    url = server.url + ("/v1" if kind == "openai" else "")
    command = [
        sys.executable,
        "-c",
        QUICK,
        "eval",
        "-m",
        f"{kind}:m",
        "--endpoint",
        url,
        "-t",
        str(data),
    ]
    command += ["--out", str(out), "--quiet", "--concurrency", str(WORKERS)]
    keys = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **keys})


def written(out: Path) -> list[str]:
    """Requests that have an answer on disk (whole lines only)."""
    return [
        line.split(b'"', 4)[3].decode()
        for file in out.rglob("answers.jsonl")
        for line in file.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


def wait_for(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while sum(f.read_bytes().count(b"\n") for f in out.rglob("answers.jsonl")) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no answers"
        time.sleep(0.01)


def queries_of(requests: list[str]) -> set[str]:
    """What was asked by the requests `聊天3:4`."""
    pairs = (request.removeprefix("聊天").split(":") for request in requests)
    return {f"第{k}个聊天的第{q}个问题" for k, q in pairs}


@pytest.mark.parametrize("kind", ["openai", pytest.param("anthropic", marks=pytest.mark.slow)])
def test_each_is_answered_once_and_kept_whatever_happens(kind: str, tmp_path: Path) -> None:
    total = 1000
    data, out = task(tmp_path / "数据", total // 5), tmp_path / "runs"
    with serving(plan=faults(3, 0.2)) as server:
        process = start(server, kind, data, out)
        wait_for(out, total // 3, process)
        process.kill()
        process.communicate()
        time.sleep(0.5)  # what it had sent arrives
        after_kill = len(server.received)
        before = queries_of(written(out))
        process = start(server, kind, data, out)
        wait_for(out, 2 * total // 3, process)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=300)
        assert (process.returncode, said) == (130, ""), complained
        assert complained.startswith("f2r: interrupted")
        assert complained.count("\n") == 1
        time.sleep(0.5)
        after_interrupt = len(server.received)
        middle = queries_of(written(out))
        process = start(server, kind, data, out)
        _, complained = process.communicate(timeout=600)
        assert (process.returncode, complained) == (0, "")
    kept = Counter(written(out))
    assert (len(kept), set(kept.values())) == (total, {1})
    assert total // 3 <= len(before) < len(middle) < total
    assert not before & {one.query for one in server.received[after_kill:]}
    assert not middle & {one.query for one in server.received[after_interrupt:]}
    assert set(server.answered) == queries_of(list(kept))
    # Answered twice: only what was on its way when the process was killed, and when interrupted.
    assert server.answered.total() - total <= 2 * WORKERS
    failed = [one.fault for one in server.received if one.fault]
    assert 0.1 < len(failed) / len(server.received) < 0.3
    assert set(failed) == set(RETRYABLE)
    folder = next(out.rglob("run.json")).parent
    for file in folder.iterdir():
        assert b"Gehe1m" not in file.read_bytes()
    lines = handmade.lines(folder / "answers.jsonl")
    assert all(line["failure"] is None and line["text"] for line in lines)
