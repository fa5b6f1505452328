"""What f2r says and refuses where models are behind an API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer

Run = Callable[..., Any]
KEY = "sk-Gehe1m/0123456789"
PRICES = '[small]\ncurrency = "EUR"\ninput = 2\noutput = 10\n'  # 0.0025 a request


@pytest.mark.parametrize("fault", [None, "escaped", "slashed", "400-long", "401-long"])
def test_no_part_of_the_key_is_on_disk_on_the_screen_or_on_a_page(
    f2r: Run,
    server: FaultServer,
    command: tuple[str, ...],
    fault: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.says, server.extra = lambda query: KEY, {"reasoning_content": KEY}
    server.plan = lambda query, attempt: fault if query.startswith("帐篷") else None
    ended = f2r(*command)
    page = f2r("report", "runs", "-o", "页.html")
    assert (ended.code, page.code) == ({"400-long": 3, "401-long": 2}.get(str(fault), 0), 0)
    shown = [ended.out, ended.err, f2r("table").out]
    kept = [
        path.read_text(encoding="utf-8") for path in (*Path("runs").rglob("*.json*"), Path("页.html"))
    ]
    assert len(kept) >= 5
    assert not [text for text in (*shown, *kept) if "sk-Ge" in text]
    assert any("…" in text for text in kept)


@pytest.mark.parametrize("limit", ["nan", "inf"])
def test_a_limit_that_is_no_amount(f2r: Run, command: tuple[str, ...], limit: str) -> None:
    Path("价.toml").write_text(PRICES)
    complaint = f2r(*command, "--prices", "价.toml", "--max-cost", limit).complaint()
    assert complaint == f"--max-cost {limit} is no amount"
    assert not Path("runs").exists()


def test_a_limit_is_kept_over_sessions_without_a_count_of_tokens(
    f2r: Run, server: FaultServer, command: tuple[str, ...]
) -> None:
    server.usage = {"prompt_tokens": None}
    Path("价.toml").write_text(PRICES)
    limited = (*command, "--concurrency", "1", "--prices", "价.toml", "--max-cost", "0.03")
    ended = f2r(*limited)
    assert ended.code == 3
    assert ended.err.rstrip().endswith("; the answers so far are kept, raise it to go on")
    asked = len(server.received)
    assert 1 <= asked < 6
    assert f2r(*limited).code == 3
    assert len(server.received) == asked
    told = f2r("table").out
    assert f"{asked} of {asked} answers without a count of tokens, at most 0.0" in told
    other = PRICES.replace("EUR", "CNY")
    Path("价.toml").write_text(other)
    record = next(Path("runs").rglob("run.json"))
    before = record.read_bytes()
    for more in ((), ("--max-cost", "0.03")):
        complaint = f2r(*command, "--prices", "价.toml", *more).complaint()
        assert "paid for in EUR, and the prices are in CNY" in complaint
    assert record.read_bytes() == before


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (
            PRICES.replace("small", "large"),
            "the prices have none for openai:small, small; they are for large",
        ),
        ('[claude-sonnet-4.6]\ncurrency = "EUR"\ninput = 2\noutput = 3\n', '["claude-sonnet-4.6"]'),
        ("", "no prices in it"),
    ],
)
def test_prices_that_price_nothing(
    f2r: Run, server: FaultServer, command: tuple[str, ...], prices: str, said: str
) -> None:
    Path("价.toml").write_text(prices)
    assert said in f2r(*command, "--prices", "价.toml").complaint()
    assert server.received == []
    assert not Path("runs").exists()


@pytest.mark.parametrize("url", ["", "  ", "http://127.0.0.1:abc/v1", "http://127.0.0.1:99999/v1"])
def test_an_address_that_is_none_is_refused_before_anything_is_made(
    f2r: Run, few: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    complaint = f2r("eval", "-m", "gpt-4o", "--endpoint", url, "-t", few).complaint()
    assert "--endpoint" in complaint
    assert not Path("runs").exists()
    assert f2r("retrieve", "-m", "gpt-4o", "--endpoint", url, "mini-chat", "x").code == 2
    assert "exactly one model" in f2r("eval", "-m", "bm25", "--endpoint", url, "-t", few).complaint()
    assert (
        "behind an API" in f2r("retrieve", "-m", "bm25", "--endpoint", url, "mini-chat", "x").complaint()
    )


def test_two_endpoints_of_one_model_are_told_apart(
    f2r: Run, server: FaultServer, command: tuple[str, ...], few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("价.toml").write_text(PRICES.replace("[small]", '["openai:small"]'))
    place = server.url.removeprefix("http://")
    assert "0.0150 EUR" in f2r(*command, "--prices", "价.toml").out
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/other/v1")
    assert f2r("eval", "-m", "openai:small", "-t", few, "--encoder", "none", "--quiet").code == 0
    out = f2r("table").out
    assert f"openai:small @ {place}  " in out
    assert f"openai:small @ {place}/other  " in out
    assert "(2)" not in out


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("-m", "bm25", "--prices", "x"), "--prices is for models behind an API"),
        (("-m", "bm25", "--concurrency", "8"), "--concurrency is for models behind an API"),
        (
            ("-m", "openai:a", "--device", "cuda:7", "--encoder", "none"),
            "--device is for models that run here",
        ),
        (("-m", "openai:a", "--dtype", "float99"), "--dtype is for models that run here"),
        (("-m", "openai:a", "--batch-size", "5"), "--batch-size is for models that are checkpoints"),
        (
            ("-m", "openai:a", "--trust-remote-code"),
            "--trust-remote-code is for models that are checkpoints",
        ),
        (
            ("-m", "bm25", "--max-pixels", "1000"),
            "--max-pixels is for models that are checkpoints or behind",
        ),
        (
            ("-m", "bm25", "--max-new-tokens", "9"),
            "--max-new-tokens is for models that are checkpoints or",
        ),
    ],
)
def test_options_that_no_model_uses(f2r: Run, options: tuple[str, ...], what: str) -> None:
    assert f2r("eval", *options, "-t", "example").complaint().startswith(what)


def test_options_that_something_uses(f2r: Run, command: tuple[str, ...]) -> None:
    assert f2r(*command, "--max-pixels", "1000", "--max-new-tokens", "99").code == 0
    assert f2r("eval", "-m", "bm25", "-t", "example", "--device", "cpu", "--quiet").code == 0
    assert (
        "--device is for"
        in f2r("retrieve", "-m", "bm25", "mini-chat", "x", "--device", "cpu").complaint()
    )
