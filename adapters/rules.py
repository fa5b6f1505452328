"""What settings of a model row may be: a name for it in messages, and a test."""

import json
import re
from collections.abc import Callable
from typing import Any

Rule = tuple[str, Callable[[Any], bool]]
TEXT: Rule = ("text", lambda value: isinstance(value, str) and bool(value))
COUNT: Rule = ("a whole number above 0", lambda value: type(value) is int and value > 0)
SHARE: Rule = ("a number from 0 to 1", lambda value: type(value) in (int, float) and 0 <= value <= 1)
YES_NO: Rule = ("true or false", lambda value: isinstance(value, bool))
TABLE: Rule = ("a table without dates", lambda value: isinstance(value, dict) and _is_json(value))
SIZES: Rule = (
    "a table of texts",
    lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values()),
)
VARIABLE: Rule = (  # in capitals, so that a key itself is refused
    "the name of an environment variable, in capitals",
    lambda value: isinstance(value, str) and re.fullmatch("[A-Z][A-Z0-9_]*", value) is not None,
)
API: dict[str, Rule] = {  # docs/api.md says what they are
    **dict.fromkeys(("endpoint", "model", "limit_field", "budget_field"), TEXT),
    **dict.fromkeys(("max_images", "max_pixels", "image_tokens"), COUNT),
    **dict.fromkeys(("max_new_tokens", "max_reasoning_tokens"), COUNT),
    "key": VARIABLE,
    "takes_temperature": YES_NO,
    "body": TABLE,
}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
