"""What runs of models behind an API used: tokens, and costs where prices were given."""

from collections import Counter
from collections.abc import Iterable

from f2rcli.adapters.rules import API_KINDS
from f2rcli.results.rows import Row
from f2rcli.results.runs import RunFolder


def usage_notes(rows: Iterable[Row]) -> list[str]:
    """One line a run, over every attempt that was answered, also those that were asked again."""
    return [
        f"{row.model} on {task}: {used}"
        for row in rows
        for task, runs in row.runs.items()
        for run in runs
        if run.record()["model"].get("kind") in API_KINDS and (used := in_words(run))
    ]


def in_words(run: RunFolder) -> str:
    """Tokens and costs of a run; "" where its endpoint counted none."""
    tokens: Counter[str] = Counter()
    costs: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    answers = priced = 0
    for attempt in run.every_attempt():
        details = attempt.details
        currency = details.get("currency", "")
        tokens["prompt"] += attempt.prompt_tokens or 0
        tokens["output"] += attempt.output_tokens or 0
        tokens["cached"] += details.get("cached_tokens", 0)
        tokens["thinking"] += details.get("reasoning_tokens", 0)
        lost[currency] += details.get("cost_lost", 0)
        answers += attempt.text is not None
        if "cost" in details:
            priced += 1
            costs[currency] += details["cost"]
    if not tokens.total():
        return ""
    told = f"{tokens['prompt']:,} prompt tokens" + _part(tokens["cached"], "from a cache")
    told += f", {tokens['output']:,} output tokens" + _part(tokens["thinking"], "of thinking")
    for currency, cost in costs.items():
        told += f", {cost:.4f} {currency}"
        if lost[currency]:
            told += f" and at most {lost[currency]:.4f} for attempts without an answer"
    return told + (f" (prices for {priced:,} of {answers:,} answers)" if 0 < priced < answers else "")


def _part(number: int, what: str) -> str:
    return f" ({number:,} {what})" if number else ""
