"""Prices, costs, and a limit on them that holds whatever is in flight."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fault_server import FaultServer
from short_chats import request

from f2rcli.adapters.api import APIModel
from f2rcli.adapters.api.costs import Budget, Price, read_prices
from f2rcli.adapters.api.pacing import Patience
from f2rcli.adapters.retriever import UnfinishedError
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Retrieval

Make = Callable[..., APIModel]
ROOT = Path(__file__).resolve().parents[3]
PRICE = Price("EUR", input=2.0, output=10.0, cached=0.5, cache_write=2.5)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_price_by_hand() -> None:
    # 1,000 prompt tokens, of which 600 from the cache and 100 to it; 50 of output
    assert PRICE.of(1000, 50, cached=600, written=100) == pytest.approx(
        (300 * 2.0 + 600 * 0.5 + 100 * 2.5 + 50 * 10.0) / 1e6
    )
    assert PRICE.worst(1000, 50) == pytest.approx((1000 * 2.5 + 50 * 10.0) / 1e6)


def test_prices_of_a_file(tmp_path: Path) -> None:
    text = '["模型"]\ncurrency = "CNY"\ninput = 1\noutput = 4.5\n["b-2.0"]\ncurrency = "USD"\n'
    prices = read_prices(written(tmp_path / "价.toml", text + "input = 2\noutput = 3\ncached = 0.2\n"))
    assert prices["模型"] == Price("CNY", 1.0, 4.5, cached=1.0, cache_write=1.0)
    assert prices["b-2.0"].cached == 0.2


def test_the_example_has_made_up_models_only() -> None:
    prices = read_prices(ROOT / "docs/prices.example.toml")
    assert len(prices) >= 2
    assert all("example" in name for name in prices)


@pytest.mark.parametrize(
    "text",
    [
        "[m]\ninput = 1\noutput = 1",
        '[m]\ncurrency = "USD"\ninput = 1',
        '[m]\ncurrency = "USD"\ninput = -1\noutput = 1',
        '[m]\ncurrency = "USD"\ninput = "1"\noutput = 1',
        '[m]\ncurrency = "USD"\ninput = nan\noutput = 1',
        '[m]\ncurrency = "USD"\ninput = 1\noutput = inf',
        "",
        '[m]\ncurrency = ""\ninput = 1\noutput = 1',
        '[m]\ncurrency = "USD"\ninput = 1\noutput = 1\ninputs = 3',
        "m = 3",
        "m = [",
    ],
)
def test_prices_that_are_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"价\.toml"):
        read_prices(written(tmp_path / "价.toml", text))


def test_a_limit_needs_a_price_and_one_currency() -> None:
    with pytest.raises(InputError, match="--max-cost needs --prices"):
        Budget.load(None, 1.0)
    budget = Budget({"m": PRICE, "usd": Price("USD", 1, 1, 1, 1)}, 1.0)
    with pytest.raises(InputError, match="the prices have none for x or y"):
        budget.price("x", "y")
    assert budget.price("x", "m") == PRICE
    with pytest.raises(InputError, match="one limit for EUR and USD"):
        budget.price("usd", "y")
    assert Budget({"m": PRICE}).price("x", "y") is None


def test_costs_stand_beside_the_answer(server: FaultServer, make: Make) -> None:
    server.usage = {"prompt_tokens_details": {"cached_tokens": 600}}
    (found,) = make("openai", budget=Budget({"some-model": PRICE})).retrieve([request("你好")])
    assert found.details["cost"] == pytest.approx((400 * 2.0 + 600 * 0.5 + 50 * 10.0) / 1e6)
    assert found.details["currency"] == "EUR"
    (found,) = make("openai").retrieve([request("你好")])
    assert "cost" not in found.details


def test_an_attempt_that_was_cut_counts_at_its_worst(server: FaultServer, make: Make) -> None:
    server.plan = lambda query, attempt: None if attempt else "cut"
    budget = Budget({"mine": PRICE})
    (found,) = make("openai", {"max_new_tokens": 100}, budget=budget).retrieve([request("你好")])
    prompt = len(server.received[0].body["messages"][0]["content"][0]["text"].encode())
    assert found.details["cost_lost"] == pytest.approx(PRICE.worst(prompt, 100))
    assert budget.spent == pytest.approx(found.details["cost_lost"] + found.details["cost"])


def test_an_attempt_that_was_never_sent_costs_nothing(make: Make) -> None:
    budget = Budget({"mine": PRICE})
    model = make("openai", budget=budget, patience=Patience(attempts=2, first=0.001))
    model.endpoint.url = "http://127.0.0.1:9/v1"
    (found,) = model.retrieve([request("你好")])
    assert found.failed
    assert (budget.spent, "cost_lost" in found.details) == (0, False)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_the_limit_is_not_passed(server: FaultServer, make: Make, concurrency: int) -> None:
    """1,000 tokens at 2 and 50 at 10 a million are 0.0025 a request."""
    server.delay = 0.005
    budget = Budget({"mine": PRICE}, limit=0.05)
    model = make("openai", {"max_new_tokens": 60}, budget=budget, concurrency=concurrency)
    found: list[Retrieval] = []
    asked = [request("好" * 100, str(i), id=str(i)) for i in range(100)]
    with pytest.raises(UnfinishedError, match=r"--max-cost 0\.05 EUR is reached"):
        found.extend(model.retrieve(asked))
    assert len(found) == len(server.received)  # what was in flight is not lost
    assert budget.spent == pytest.approx(0.0025 * len(server.received))
    assert 15 <= len(server.received) <= 20


def test_what_was_spent_before_counts() -> None:
    budget = Budget({"mine": PRICE}, limit=0.05)
    before = [
        Retrieval("a", "…", details={"cost": 0.02}),
        Retrieval("b", details={"cost_lost": 0.004}),
        Retrieval("d", "…", details={"cost_at_most": 0.006}),
        Retrieval("c", "…"),
    ]
    budget.recall(before, PRICE)
    assert budget.spent == pytest.approx(0.03)
    with pytest.raises(UnfinishedError):
        budget.set_aside(0.021, lambda: False)
    budget.set_aside(0.019, lambda: False)


@pytest.mark.parametrize("limit", [float("nan"), float("inf")])
def test_a_limit_is_an_amount(limit: float) -> None:
    with pytest.raises(InputError, match=f"--max-cost {limit} is no amount"):
        Budget.load(ROOT / "docs/prices.example.toml", limit)


def test_an_answer_without_a_count_keeps_what_was_set_aside(
    server: FaultServer, make: Make, kind: str
) -> None:
    server.usage = dict.fromkeys(("prompt_tokens", "input_tokens"))
    budget = Budget({"mine": PRICE})
    model = make(kind, {"max_new_tokens": 100}, budget=budget)
    (found,) = model.retrieve([request("你好")])
    prompt = len("".join(server.received[0].content).encode())
    assert found.details["cost_at_most"] == pytest.approx(PRICE.worst(prompt, 100))
    assert "cost" not in found.details
    assert budget.spent == pytest.approx(found.details["cost_at_most"])
    again = Budget({"mine": PRICE}, limit=1.0)
    again.recall([found], PRICE)
    assert again.spent == pytest.approx(budget.spent)


def test_earlier_costs_in_another_currency_are_not_added_up() -> None:
    before = [Retrieval("a", "…", details={"cost": 0.02, "currency": "USD"})]
    with pytest.raises(InputError, match="paid for in USD, and the prices are in EUR"):
        Budget({"mine": PRICE}).recall(before, PRICE)
    Budget().recall(before, None)


def test_prices_that_are_for_none_of_the_models() -> None:
    budget = Budget({"other": PRICE, "usual": PRICE})
    with pytest.raises(InputError, match="the prices have none for row, m; they are for other, usual"):
        budget.check([("row", "m")])
    budget.check([("row", "m"), ("mine", "usual")])
    Budget().check([("row", "m")])
    budget.call("usual", "usual @ 127.0.0.1")
    assert budget.price("usual @ 127.0.0.1", "m") == PRICE


def test_a_name_with_a_dot_is_to_be_quoted(tmp_path: Path) -> None:
    text = '[claude-sonnet-4.6]\ncurrency = "USD"\ninput = 1\noutput = 1\n'
    with pytest.raises(InputError, match=r'is quoted: \["claude-sonnet-4\.6"\]'):
        read_prices(written(tmp_path / "价.toml", text))
