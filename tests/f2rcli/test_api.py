"""f2r eval and f2r retrieve with models behind an API."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import handmade
import pytest
from fault_server import FaultServer, serving
from handmade import answer

from f2rcli.adapters.api import model as api_model
from f2rcli.adapters.api.pacing import Patience

Run = Callable[..., Any]
KEY = "sk-Gehe1m-0123456789"
PRICES = '[small]\ncurrency = "EUR"\ninput = 2\noutput = 10\n'  # 0.0025 a request


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_model, "PATIENCE", Patience(attempts=3, first=0.001, timeout=0.3))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with serving(says=lambda query: answer([2, 3])) as started:
        yield started


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Four chats of one dialogue each, three queries every one: twelve requests."""
    chats = []
    for k in range(4):
        queries = {f"{query}{k}": gold for query, gold in handmade.QUERIES.items()}
        chats.append(handmade.chat(f"聊天{k}", queries=queries, pictures=()))
    return handmade.write_chats(tmp_path / "数据", *chats)


def test_a_server_of_ones_own_needs_no_key(f2r: Run, server: FaultServer, task: Path) -> None:
    command = ("eval", "-m", "openai:small", "--endpoint", f"{server.url}/v1", "-t", task, "--quiet")
    ended = f2r(*command)
    assert (ended.code, ended.err) == (0, "")
    assert len(server.received) == 12
    place = server.url.removeprefix("http://")
    assert f"openai:small @ {place} on 聊天: 12,000 prompt tokens, 600 output tokens" in ended.out
    again = f2r(*command)
    assert (again.out, len(server.received)) == (ended.out, 12)
    [record] = Path("runs").rglob("run.json")
    model = json.loads(record.read_text(encoding="utf-8"))["identity"]["model"]
    assert (model["endpoint"], model["model"]) == (f"{server.url}/v1", "small")
    assert model["pictures"]["quality"] == 90


def test_the_address_may_be_in_the_environment(
    f2r: Run, server: FaultServer, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    assert f2r("eval", "-m", "openai:small", "-t", task, "--limit", "1", "--quiet").code == 0
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    ended = f2r("retrieve", "-m", "openai:small", task, "帐篷", "--id", "聊天0", "--json")
    assert (ended.code, json.loads(ended.out)) == (0, {"utterances": [2, 3], "images": []})
    assert "帐篷" in server.received[1].content[0]


def test_a_missing_key_is_one_line_and_leaves_nothing(f2r: Run, task: Path) -> None:
    complaint = f2r("eval", "-m", "gpt-4o", "-t", task).complaint()
    assert "OPENAI_API_KEY is not set" in complaint
    assert not Path("runs").exists()


@pytest.mark.parametrize("key", ["schlüssel-1234", "two keys", "sk-1234\n5678"])
def test_a_key_that_is_none_is_not_shown(
    f2r: Run, task: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    complaint = f2r("eval", "-m", "gpt-4o", "-t", task).complaint()
    assert complaint == "OPENAI_API_KEY has signs in it that no key has"


def test_a_key_in_a_registry_file_or_an_address_is_refused_and_not_shown(f2r: Run, task: Path) -> None:
    Path("行.toml").write_text(f'[m]\nkind = "openai"\nmodel = "x"\nkey = "{KEY}"\n', encoding="utf-8")
    complaint = f2r("eval", "-m", "m", "-t", task, "--registry", "行.toml").complaint()
    assert "environment variable" in complaint
    assert KEY not in complaint
    address = f"http://user:{KEY}@127.0.0.1:9/v1"
    complaint = f2r("eval", "-m", "openai:m", "-t", task, "--endpoint", address).complaint()
    assert "put the key into OPENAI_API_KEY" in complaint
    assert KEY not in complaint


def test_a_wrong_key_ends_the_run_and_keeps_its_answers(
    f2r: Run, server: FaultServer, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.plan = lambda query, attempt: "401" if query == "谁带蛋糕2" and not attempt else None
    command = ("eval", "-m", "openai:small", "--endpoint", f"{server.url}/v1", "-t", task, "--quiet")
    complaint = f2r(*command, "--concurrency", "1").complaint()
    assert f"{server.url}/v1: 401: no 401 for you" in complaint
    [answers] = Path("runs").rglob("answers.jsonl")
    kept = handmade.lines(answers)
    assert len(kept) == 7
    assert not any(line["failure"] for line in kept)
    assert f2r(*command).code == 0
    assert len(server.received) == 13
    for file in answers.parent.iterdir():
        assert "Gehe1m" not in file.read_text(encoding="utf-8")
    assert "Gehe1m" not in complaint


def test_what_failed_is_asked_again_by_the_same_command(
    f2r: Run, server: FaultServer, task: Path
) -> None:
    server.plan = lambda query, attempt: "500" if query == "谁带蛋糕2" and attempt < 3 else None
    command = ("eval", "-m", "openai:small", "--endpoint", f"{server.url}/v1", "-t", task, "--quiet")
    ended = f2r(*command)
    assert (ended.code, "1 unanswered" in ended.err) == (3, True)
    assert f2r(*command).code == 0
    assert len(server.received) == 15


def test_a_limit_on_costs_ends_with_3_and_goes_on_when_raised(
    f2r: Run, server: FaultServer, task: Path
) -> None:
    Path("价.toml").write_text(PRICES, encoding="utf-8")
    command = ["eval", "-m", "openai:small", "--endpoint", f"{server.url}/v1", "-t", task, "--quiet"]
    command += ["--prices", "价.toml", "--max-new-tokens", "60", "--max-cost"]
    for _ in range(2):  # the second time there is nothing left to spend
        ended = f2r(*command, "0.014")
        assert (ended.code, ended.out, len(server.received)) == (3, "", 5)
        [line] = ended.err.splitlines()
        assert line.startswith("f2r: --max-cost 0.014 EUR is reached: 0.0125 are spent")
        [answers] = Path("runs").rglob("answers.jsonl")
        assert len(handmade.lines(answers)) == 5
    ended = f2r(*command, "1")
    assert (ended.code, len(server.received)) == (0, 12)
    assert "12,000 prompt tokens, 600 output tokens, 0.0300 EUR" in ended.out
    assert "--max-cost needs --prices" in f2r(*command[:8], "--max-cost", "1").complaint()


def test_a_dry_run_sends_nothing_and_needs_no_key(f2r: Run, task: Path) -> None:
    ended = f2r("eval", "-m", "gpt-4o", "claude-sonnet-4", "-t", task, "example", "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("POST https://api.openai.com/v1/chat/completions\n") == 2
    assert ended.out.count("POST https://api.anthropic.com/v1/messages\n") == 2
    assert "12 requests; nothing was sent" in ended.out
    assert "3 images" in ended.out
    assert "data:image/jpeg;base64,/9j/" in ended.out
    assert not Path("runs").exists()


def test_pictures_first_is_a_row_of_its_own(f2r: Run, server: FaultServer, task: Path) -> None:
    command = ("eval", "-m", "openai:small", "--endpoint", f"{server.url}/v1", "-t", task, "--quiet")
    assert f2r(*command).code == 0
    ended = f2r(*command, "--image-placement", "first")
    name = f"openai:small @ {server.url.removeprefix('http://')}"
    assert f"{name}, images first" in ended.out
    table = f2r("table", "runs").out.splitlines()
    assert [line.partition("  ")[0] for line in table[2:4]] == [
        name,
        f"{name}, images first",
    ]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("-m", "bm25", "--endpoint", "http://x/v1"), "--endpoint needs exactly one model"),
        (("-m", "openai:a", "openai:b", "--endpoint", "http://x/v1"), "--endpoint needs exactly one"),
        (("-m", "bm25", "--image-placement", "first"), "--image-placement is for models behind an API"),
        (("-m", "bm25", "--max-cost", "1"), "--max-cost is for models behind an API"),
        (("-m", "bm25", "gpt-4o", "--dry-run"), "--dry-run is for models behind an API"),
        (
            ("-m", "openai:a", "--endpoint", "localhost:8000"),
            "'localhost:8000' is not an address such as",
        ),
    ],
)
def test_options_that_make_no_sense(f2r: Run, options: tuple[str, ...], what: str) -> None:
    assert what in f2r("eval", *options, "-t", "example").complaint()
    retrieve = ("retrieve", "-m", "bm25", "mini-chat", "x", "--endpoint", "http://x/v1")
    assert "needs a model that is behind an API" in f2r(*retrieve).complaint()


def test_a_missing_sdk_names_what_to_install(
    f2r: Run, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setitem(sys.modules, "openai", None)
    complaint = f2r("eval", "-m", "gpt-4o", "-t", task).complaint()
    assert complaint.endswith("openai is not installed; pip install 'f2rcli[api]'")
