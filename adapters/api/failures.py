"""What can go wrong with an attempt, and what is to be done about it (docs/api.md)."""

import email.utils
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from f2rcli.tasks.visible import visible

Cause = Literal["", "key", "account", "place", "redirect"]

MESSAGE = 300  # characters of an endpoint's own words that are kept
STOPS: dict[int, Cause] = {401: "key", 402: "account", 403: "key", 404: "place"}  # true of every request
AGAIN = {408, 409, 425, 429}  # and everything from 500
BUSY = {429, 503, 529}  # asks everybody to slow down
NO_CREDIT = ("insufficient_quota",)  # a 429 that no waiting helps against
FILTERS = ("content_filter", "content_policy", "inspection", "sensitive")  # in the code of a 400


@dataclass
class AttemptError(Exception):
    """Why an attempt gave no answer.

    `again`: another attempt may. `busy`: every worker should wait, for `wait` seconds if the endpoint
    says how long. `stops`: no request of the run can be answered, for that cause. `refused`: this one
    will not be. `lost`: the endpoint may have answered all the same, and charged.
    """

    message: str
    again: bool = False
    busy: bool = False
    wait: float | None = None
    stops: Cause = ""
    refused: bool = False
    lost: bool = False


def trouble(error: Exception, sdk: Any, cut: Callable[[str], str]) -> AttemptError | None:
    """An exception of an SDK (the module) as a AttemptError; None for one that is not the endpoint's.
    `cut` takes the key out of a text."""
    if isinstance(error, sdk.APIConnectionError):
        cause = error.__cause__
        lost = not type(cause).__name__.startswith("Connect")  # ConnectError, ConnectTimeout: never sent
        if isinstance(error, sdk.APITimeoutError):
            return AttemptError("no answer in time", again=True, lost=lost)
        told = f"{type(cause).__name__}: {cause}" if cause else str(error)
        return AttemptError(f"connection failed ({one_line(cut(told))})", again=True, lost=lost)
    if not isinstance(error, sdk.APIStatusError):
        return None
    status, body = error.status_code, error.body
    if 300 <= status < 400:
        where = one_line(cut(error.response.headers.get("location", ""))) or "nowhere"
        return AttemptError(f"{status}: it points to {where}", stops="redirect")
    code, told = _code_and_message(body)
    message = f"{status}: {one_line(cut(told or error.message))}"
    if any(word in code for word in NO_CREDIT):
        return AttemptError(message, stops="account")
    if status in STOPS:
        return AttemptError(message, stops=STOPS[status])
    if status == 400 and any(word in code for word in FILTERS):
        return AttemptError(message, refused=True)
    if status in AGAIN or status >= 500:
        wait = retry_after(error.response.headers)
        return AttemptError(message, again=True, busy=status in BUSY, wait=wait)
    return AttemptError(message)


def one_line(text: str) -> str:
    return visible(" ".join(text.split()))[:MESSAGE]


def _code_and_message(body: Any) -> tuple[str, str]:
    """Of an error's body, which is the object itself or has it under `error`."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(inner, dict):
        return "", inner if isinstance(inner, str) else ""
    codes = (inner.get("code"), inner.get("type"))
    code = " ".join(part.lower() for part in codes if isinstance(part, str))
    message = inner.get("message")
    return code, message if isinstance(message, str) else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the endpoint says: `retry-after-ms`, or `Retry-After` as seconds or a date
    (RFC 9110, 10.2.3). None where it says nothing that makes sense."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
