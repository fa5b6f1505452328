"""What answers cost, by the user's own prices, and a limit that is not passed."""

import math
import threading
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from f2rcli.adapters.api.pacing import ClosedError
from f2rcli.adapters.retriever import UnfinishedError
from f2rcli.adapters.rules import dotted
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Retrieval

MILLION = 1_000_000
# What an attempt cost; what one at most that was answered without a count of its tokens, and what those
# at most that were lost on the way to it.
COSTS = ("cost", "cost_at_most", "cost_lost")


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one model per million tokens: of the prompt, of the output (thinking included), and of
    the parts of a prompt that come from a cache or are written to one."""

    currency: str
    input: float
    output: float
    cached: float
    cache_write: float

    def of(self, prompt: int, output: int, cached: int = 0, written: int = 0) -> float:
        """What so many tokens cost; `cached` and `written` are among those of the prompt."""
        plain = max(0, prompt - cached - written)
        prompt_cost = plain * self.input + cached * self.cached + written * self.cache_write
        return (prompt_cost + output * self.output) / MILLION

    def worst(self, prompt: int, output: int) -> float:
        return max(self.of(prompt, output), self.of(prompt, output, written=prompt))


def read_prices(path: Path) -> dict[str, Price]:
    """Prices by model, from a TOML file (docs/prices.example.toml). Raises InputError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"no prices can be read ({error})", where=str(path)) from None
    if not tables:
        raise InputError("no prices in it", where=str(path), fix="docs/prices.example.toml is one")
    return {name: _price(name, table, str(path)) for name, table in tables.items()}


def _price(name: str, table: Any, path: str) -> Price:
    known, where = {field.name for field in fields(Price)}, f"{path}, {name}"
    if not isinstance(table, dict) or not {"currency", "input", "output"} <= table.keys() <= known:
        what = f"needs currency, input and output, and may have {', '.join(sorted(known))}"
        raise InputError(what, where=where, fix=dotted(name, table))
    currency = table["currency"]
    numbers = {name: value for name, value in table.items() if name != "currency"}
    wrong = [name for name, v in numbers.items() if type(v) not in (int, float) or not 0 <= v < MILLION]
    if wrong or not isinstance(currency, str) or not currency:
        what = f"{' and '.join(wrong) or 'currency'} is not {'a price' if wrong else 'a text'}"
        raise InputError(what, where=where)
    same = {"cached": table["input"], "cache_write": table["input"]}
    return Price(currency, **{name: float(value) for name, value in (same | numbers).items()})


class Budget:
    """Prices, and at most how much the runs of one command may cost together.

    What requests in flight can cost at worst is set aside before they are sent. Safe between threads.
    """

    def __init__(self, prices: dict[str, Price] | None = None, limit: float | None = None) -> None:
        self.prices = prices or {}
        self.limit = limit
        self.currency: str | None = None
        self.spent = self.aside = 0.0
        self._flying = 0  # requests that something is set aside for
        self._changed = threading.Condition()

    @classmethod
    def load(cls, prices: Path | None, limit: float | None) -> Self:
        """Raises InputError for a limit without prices, or an unusable file of them."""
        if limit is not None and not math.isfinite(limit):
            raise InputError(f"--max-cost {limit} is no amount")
        if limit is not None and prices is None:
            raise InputError("--max-cost needs --prices FILE", fix="docs/prices.example.toml is one")
        return cls(read_prices(prices) if prices else None, limit)

    def price(self, name: str, model: str) -> Price | None:
        """The price for a row's name, or for what its endpoint calls the model.

        Raises InputError where there is a limit and no price, or one in another currency.
        """
        price = self.prices.get(name) or self.prices.get(model)
        if self.limit is not None:
            if price is None:
                raise InputError(
                    f"the prices have none for {name} or {model}", fix="or leave --max-cost"
                )
            self.currency = self.currency or price.currency
            if price.currency != self.currency:
                what = f"one limit for {self.currency} and {price.currency}"
                raise InputError(what, fix="run the models one by one")
        return price

    def check(self, models: Iterable[tuple[str, str]]) -> None:
        """Raises InputError if there are prices and none is for any of these (name, model), and where
        `price` would."""
        known = [*models]
        prices = [self.price(*one) for one in known]
        if self.prices and not any(prices):
            names = ", ".join(dict.fromkeys(name for one in known for name in one))
            fix = f"they are for {', '.join(self.prices)}"
            raise InputError(f"the prices have none for {names}", fix=fix)

    def call(self, name: str, other: str) -> None:
        """What has a price under its name has it under the other one too."""
        if name in self.prices:
            self.prices[other] = self.prices[name]

    def recall(self, attempts: Iterable[Retrieval], price: Price | None) -> None:
        """Count what earlier sessions of a run cost, or may have cost where nobody counted.

        Raises InputError where that was in another currency than the run's `price`.
        """
        if price is None:
            return
        for attempt in attempts:
            before = attempt.details.get("currency", price.currency)
            if before != price.currency:
                what = f"answers of this run were paid for in {before}, and the prices are in"
                raise InputError(f"{what} {price.currency}", fix=f"give its prices in {before}")
            costs = (attempt.details.get(name) for name in COSTS)
            self.spent += sum(cost for cost in costs if isinstance(cost, int | float))

    def set_aside(self, worst: float, closed: Callable[[], bool]) -> None:
        """Wait until so much more can be spent. Raises UnfinishedError if it never can, and ClosedError
        when `closed`."""
        with self._changed:
            while self.limit is not None and self.spent + self.aside + worst > self.limit:
                if closed():
                    raise ClosedError
                if not self._flying:
                    raise UnfinishedError(
                        f"--max-cost {self.limit:g} {self.currency} is reached: {self.spent:.4f} are "
                        f"spent, and the next request may cost {worst:.4f}",
                        to_go_on="raise it to go on",
                    )
                self._changed.wait(0.2)
            self.aside += worst
            self._flying += 1

    def settle(self, worst: float, cost: float) -> None:
        """What was set aside cost this in the end."""
        with self._changed:
            self._flying -= 1
            self.aside = self.aside - worst if self._flying else 0.0  # sums of fractions leave a rest
            self.spent += cost
            self._changed.notify_all()
