"""What runs of models behind an API used: tokens, and costs where prices were given."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from f2rcli.adapters.rules import API_KINDS
from f2rcli.results.rows import Row
from f2rcli.results.runs import RunFolder

COSTS = {  # what stands in an attempt's details, and how it is told
    "cost": "{}",
    "cost_at_most": "at most {} for answers whose tokens were not counted",
    "cost_lost": "at most {} for attempts without an answer",
}


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
    """Tokens and costs of a run; "" where there are none."""
    tokens: Counter[str] = Counter()
    costs: dict[str, Counter[str]] = defaultdict(Counter)
    answers = counted = priced = 0
    for attempt in run.every_attempt():
        details = attempt.details
        tokens["prompt"] += attempt.prompt_tokens or 0
        tokens["output"] += attempt.output_tokens or 0
        tokens["cached"] += details.get("cached_tokens", 0)
        tokens["thinking"] += details.get("reasoning_tokens", 0)
        answers += attempt.text is not None
        counted += None not in (attempt.prompt_tokens, attempt.output_tokens)
        priced += "cost" in details or "cost_at_most" in details
        for name in COSTS:
            if cost := details.get(name):
                costs[details.get("currency", "")][name] += cost
    told = []
    if tokens.total():
        told.append(f"{tokens['prompt']:,} prompt tokens" + _part(tokens["cached"], "from a cache"))
        told.append(f"{tokens['output']:,} output tokens" + _part(tokens["thinking"], "of thinking"))
    if counted < answers:
        told.append(f"{answers - counted:,} of {answers:,} answers without a count of tokens")
    for currency, of in costs.items():
        parts = [COSTS[name].format(_amount(of[name], currency)) for name in COSTS if of[name]]
        told.append(" and ".join(parts))
    some = f" (prices for {priced:,} of {answers:,} answers)" if 0 < priced < answers else ""
    return ", ".join(told) + some


def _amount(cost: float, currency: str) -> str:
    """Prices that were given per token, and not per million, show as almost nothing."""
    return f"{cost:.4f} {currency}" if cost >= 0.00005 else f"less than 0.0001 {currency}"


def _part(number: int, what: str) -> str:
    return f" ({number:,} {what})" if number else ""
