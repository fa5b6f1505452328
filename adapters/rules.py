"""What a model row may say: its settings by kind, each with a name for what it may be and a test."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Rule = tuple[str, Callable[[Any], bool]]
TEXT: Rule = ("text", lambda value: isinstance(value, str) and bool(value))
NAME: Rule = (  # a colon would make it one of hf:PATH, NAME:SIZE, file.py:Class …
    "a name: one line of text without a colon",
    lambda value: bool(value) and value == value.strip() and value.isprintable() and ":" not in value,
)
COUNT: Rule = ("a whole number above 0", lambda value: type(value) is int and value > 0)
SHARE: Rule = ("a number from 0 to 1", lambda value: type(value) in (int, float) and 0 <= value <= 1)
COSINE: Rule = ("a number from -1 to 1", lambda value: type(value) in (int, float) and -1 <= value <= 1)
YES_NO: Rule = ("true or false", lambda value: isinstance(value, bool))
TABLE: Rule = ("a table without dates", lambda value: isinstance(value, dict) and _is_json(value))
WITH_TEXT: Rule = (
    "a text with {text} in it",
    lambda value: isinstance(value, str) and "{text}" in value,
)
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
    "timeout": COUNT,
    "body": TABLE,
}
OWN = {"model", "messages", "system", "temperature", "stream", "n"}  # of a request, set by f2r itself
CAPS = {"max_tokens", "max_completion_tokens"}
SECRET_NAMES = re.compile(
    "key|token|auth|bearer|.*(apikey|accesskey|secretkey|accesstoken|authtoken|authorization|secret|"
    "password|credentials?|cookie)"
)
SECRET_VALUES = re.compile(r"\s*(bearer\s|sk-[\w-]{8})", re.IGNORECASE)
SHARED: dict[str, Rule] = {"trained": TEXT, "about": TEXT, "size": TEXT, "sizes": SIZES, "checked": TEXT}
KINDS: dict[str, dict[str, Rule]] = {  # kind → the settings that its rows may have
    "random": {"share": SHARE},
    "everything": {},
    "nothing": {},
    "oracle": {},
    "bm25": {"cutoff": SHARE, "chosen_on": TEXT},
    "transformers": {
        "checkpoint": TEXT,
        "adapter": TEXT,
        "dtype": TEXT,
        "max_pixels": COUNT,
        "max_new_tokens": COUNT,
        "model_type": TEXT,
        "remote_code": YES_NO,
        "refused": TEXT,
        "release": TEXT,
    },
    "embedding": {
        **dict.fromkeys(("checkpoint", "image_prompt", "chosen_on", "chosen_with", "searched"), TEXT),
        **dict.fromkeys(("query_prompt", "text_prompt"), WITH_TEXT),
        **dict.fromkeys(("utterance_threshold", "image_threshold"), COSINE),
        **dict.fromkeys(("context", "top_k"), COUNT),
    },
    "openai": API,
    "anthropic": API,
    "python": {"file": TEXT, "class": TEXT},
}
API_KINDS = ("openai", "anthropic")
NEEDED = {
    "transformers": ["checkpoint"],
    "embedding": ["checkpoint"],
    "openai": ["model"],
    "anthropic": ["model"],
    "python": ["file", "class"],
    "bm25": ["cutoff"],
}


def flaw_of_request(kind: str, settings: dict[str, Any]) -> str | None:
    """What in an API row's settings would keep a request from being what run.json says of it, or would
    write a secret there; in words, without the secret."""
    body, cap = settings.get("body", {}), settings.get("limit_field", "max_tokens")
    if found := next(_secrets(body), None):
        return f"body has {found}, which would be kept in the run; keys come from the environment"
    if taken := sorted(body.keys() & (OWN | CAPS | {cap})):
        return f"body sets {' and '.join(taken)}, which f2r sets itself"
    if cap in OWN or (kind == "anthropic" and cap != "max_tokens"):
        return f"limit_field {cap!r} holds no limit on tokens there"
    field = settings.get("budget_field")
    if field is None:
        return None
    *above, last = field.split(".")
    place: Any = body
    for name in above:
        place = place.get(name, {}) if isinstance(place, dict) else None
    fits = all([*above, last]) and isinstance(place, dict) and last not in place
    if not fits or (above or [last])[0] in OWN | CAPS | {cap}:
        return f"budget_field {field!r} does not fit: f2r or body sets something else there"
    return None


def _secrets(value: Any, name: str = "") -> Iterator[str]:
    """Names under which a body holds what looks like a secret."""
    if isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, str) and SECRET_NAMES.fullmatch(re.sub("[^a-z]", "", key.lower())):
                yield key
            yield from _secrets(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _secrets(part, name)
    elif isinstance(value, str) and SECRET_VALUES.match(value):
        yield f"a key under {name}"


def dotted(name: str, table: Any) -> str:
    """What to do about a table whose name TOML took for several; "" for another one."""
    if isinstance(table, dict) and (inner := [key for key, v in table.items() if isinstance(v, dict)]):
        return f'a name with a dot in it is quoted: ["{name}.{inner[0]}"]'
    return ""


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
