"""What f2r says where models are behind an API, and what it keeps to itself."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
import pytest
from fault_server import FaultServer
from handmade import answer

from f2rcli.adapters.api import model as api_model
from f2rcli.adapters.api.pacing import Patience

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("fault", "again"),
    [("400", "asked again as it is, it will fail again"), ("500", "the same command asks again")],
)
def test_nobody_is_told_that_asking_again_helps_where_it_does_not(
    f2r: Run, server: FaultServer, command: tuple[str, ...], fault: str, again: str
) -> None:
    server.plan = lambda query, attempt: fault if query.startswith("帐篷") else None
    ended = f2r(*command)
    assert ended.code == 3
    assert re.fullmatch(rf"f2r: 2 unanswered, such as 聊天[01]:0: {fault}: .*; {again}\n", ended.err)


def test_requests_are_counted_and_not_slices(f2r: Run, server: FaultServer, tmp_path: Path) -> None:
    long = handmade.chat("长", turns=130, queries={"帐篷": [2], "蛋糕": [7]}, pictures=())
    task = handmade.write_chats(tmp_path / "长", long)
    server.plan = lambda query, attempt: "400" if query == "帐篷" else None
    url = f"{server.url}/v1"
    ended = f2r("eval", "-m", "openai:s", "--endpoint", url, "-t", task, "--encoder", "none", "--quiet")
    assert len(server.received) == 4
    assert re.match(r"f2r: 1 unanswered, such as 长:0_split_[01]: 400", ended.err)
    assert "1 error" in ended.out


def test_retrieve_keeps_nothing_and_promises_nothing(f2r: Run, server: FaultServer, few: Path) -> None:
    asked = (
        "retrieve",
        "-m",
        "openai:s",
        "--endpoint",
        f"{server.url}/v1",
        few,
        "帐篷",
        "--id",
        "聊天0",
    )
    server.plan = lambda query, attempt: "401"
    ended = f2r(*asked)
    assert ended.complaint().endswith("; no key was sent: OPENAI_API_KEY is empty")
    server.plan = lambda query, attempt: "429-7200"
    ended = f2r(*asked)
    assert ended.code == 3
    assert "asks to wait 7200 s" in ended.err
    assert "kept" not in ended.err


@pytest.mark.parametrize("quiet", [False, True])
def test_a_long_wait_is_told_while_it_lasts(
    f2r: Run,
    server: FaultServer,
    command: tuple[str, ...],
    quiet: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patience = Patience(attempts=3, first=0.001, timeout=0.3, silent=0.0)
    monkeypatch.setattr(api_model, "PATIENCE", patience)
    server.plan = lambda query, attempt: "500" if not attempt else None
    ended = f2r(*(command if quiet else command[:-1]))
    told = [line for line in ended.err.splitlines() if line.startswith("small: ")]
    assert len(told) == (not quiet)  # once, though six requests waited
    for line in told:
        assert re.fullmatch(r"small: 500: no 500 for you.*; attempt 2 of 3 in 0 s", line)


def test_a_dry_run_shows_the_marks_of_the_cache(f2r: Run, few: Path) -> None:
    Path("后.txt").write_text("聊天:\n{dialogue}\n找 {query}", encoding="utf-8")
    dry = ("eval", "-m", "claude-sonnet-4", "--prompt", "后.txt", "-t", few, "--dry-run")
    assert f2r(*dry, "--concurrency", "1").out.count("cache_control") == 1
    assert f2r(*dry, "--limit", "1").out.count("cache_control") == 0


def test_control_codes_do_not_reach_the_terminal(
    f2r: Run, server: FaultServer, command: tuple[str, ...]
) -> None:
    server.says = lambda query: f"\x1b[2J\x1b]0;标题\x07{answer([2])}"
    assert f2r(*command).code == 0
    shown = f2r("show", next(Path("runs").rglob("run.json")).parent, "0").out
    assert "answer \\x1b[2J\\x1b]0;标题\\x07<|utt_ids_start|>" in shown
    server.plan, server.says = lambda query, attempt: "ends-\x1b[2J", lambda query: "x"
    ended = f2r(*command, "--max-new-tokens", "9")
    assert "\\x1b[2J" in ended.err.replace("\\\\", "\\")
    assert not [sign for sign in "\x1b\x07\x9b" if sign in shown + ended.out + ended.err]


def test_an_unfinished_run_is_not_passed_by_a_gate_or_kept_as_a_baseline(
    f2r: Run, server: FaultServer, command: tuple[str, ...], few: Path
) -> None:
    server.plan = lambda query, attempt: "401" if query == "帐篷在哪里1" else None
    assert f2r(*command, "--concurrency", "1").code == 2
    [unfinished] = [path.parent for path in Path("runs").rglob("run.json")]
    assert f2r("eval", "-m", "oracle", "-t", few, "--encoder", "none", "--quiet").code == 0
    [oracle] = [p.parent for p in Path("runs").rglob("run.json") if p.parent != unfinished]
    for sides in ((unfinished, oracle), (oracle, unfinished)):
        complaint = f2r("compare", *sides, "--gate").complaint()
        assert "unfinished: 3 of 6 requests were not asked" in complaint
        assert "3 of 6 requests were not asked" in f2r("compare", *sides).out
    assert "unfinished" in f2r("baseline", unfinished, "-o", "基线.json").complaint()
    assert "3 not asked" in f2r("table").out
    server.plan = lambda query, attempt: None
    assert f2r(*command).code == 0
    assert f2r("compare", unfinished, unfinished, "--gate").code == 0
    assert json.loads((unfinished / "scores.json").read_text())["strict"]["coverage"] == 1
