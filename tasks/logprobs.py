"""Log-probabilities of an answer's tokens, as prediction files have them (docs/curriculum.md):
`"logprobs": {"content": [{"token": …, "logprob": …}, …]}`.
"""

import math
from collections.abc import Iterable
from typing import Any

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import TokenLogprob


def read_logprobs(line: dict[str, Any]) -> list[TokenLogprob]:
    """Those of a prediction line; [] where they are absent or empty.

    Raises InputError where they are something else: a value that is lost would change the entropy.
    """
    found = line.get("logprobs") or {}
    content = found.get("content") if isinstance(found, dict) else found
    if content is None:
        return []
    if not are_logprobs(content):
        raise InputError(
            "logprobs is not a content of tokens with a logprob, finite and not above 0",
            fix='such as {"content": [{"token": "[", "logprob": -0.01}]}',
        )
    return [{"token": str(one.get("token", "")), "logprob": float(one["logprob"])} for one in content]


def are_logprobs(content: Any) -> bool:
    """Whether it is a list of objects, each with a `logprob` that is the logarithm of a probability."""
    return isinstance(content, list) and all(
        isinstance(one, dict) and _is_logarithm(one.get("logprob")) for one in content
    )


def _is_logarithm(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value <= 0


def with_logprobs(line: dict[str, Any], tokens: Iterable[TokenLogprob]) -> dict[str, Any]:
    """The prediction line with these, or as it is where there are none."""
    content = list(tokens)
    return {**line, "logprobs": {"content": content}} if content else line
