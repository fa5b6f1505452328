"""What the two APIs have in common: where they are, who may ask, and what comes back."""

import importlib
import json
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from f2rcli.adapters.api.failures import AttemptError, one_line, trouble
from f2rcli.adapters.api.messages import Message
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure

NO_KEY = "none"  # the SDKs insist on a key; a server of one's own need not
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of an endpoint. `prompt_tokens` are with those `cached` (read from a cache) and those
    `written` to one, `output_tokens` with the thinking's; None where the endpoint does not count.
    `model` is what it says has answered."""

    text: str
    failure: Failure | None
    prompt_tokens: int | None
    output_tokens: int | None
    cached: int = 0
    written: int = 0
    reasoning_tokens: int | None = None
    reasoning: str = ""
    model: str = ""


class Endpoint(ABC):
    """One model at one address, through its SDK. A row's settings say what the model takes."""

    sdk: str  # the package
    path: str  # of a request, under the address
    address: str  # where a model without a row is
    address_variable: str
    key_variable: str
    limit_field: str

    def __init__(self, row: dict[str, Any], url: str | None = None) -> None:
        """`url` is the user's own address. Raises InputError for one that is none, or holds a secret."""
        own = url or ("" if "endpoint" in row else os.environ.get(self.address_variable, ""))
        self.url: str = (own or row.get("endpoint", self.address)).rstrip("/")
        self.own = bool(own)
        self.row = row
        self.model: str = row["model"]
        self.variable: str = row.get("key", self.key_variable)
        self.key = ""
        try:
            parts = urlsplit(self.url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            sound = False
        if not sound:
            raise InputError("an endpoint is an address such as http://localhost:8000/v1")
        if "@" in parts.netloc or parts.query:
            raise InputError(
                f"a key in the endpoint's address would be kept in the run; put it into {self.variable}"
            )

    def unlock(self) -> None:
        """Take the key from the environment. Raises InputError if it, or the SDK, is missing."""
        try:
            importlib.import_module(self.sdk)
        except ImportError:
            fix = "pip install 'f2rcli[api]'"
            raise InputError(f"{self.sdk} is not installed", where=self.model, fix=fix) from None
        self.key = os.environ.get(self.variable, "").strip()
        if not self.key and not self.own:
            what = f"{self.variable} is not set: it is to hold the key for {self.url}"
            raise InputError(what, where=self.model)
        if not re.fullmatch("[!-~]*", self.key):  # such a header's exception would show it
            raise InputError(f"{self.variable} has signs in it that no key has")

    def scrub(self, text: str) -> str:
        """Without the key, whoever repeats it."""
        return text.replace(self.key, "…") if len(self.key) > 3 else text

    def body(self, message: Message, limit: int, *, shared: bool = False) -> dict[str, Any]:
        """A request's JSON. `limit`: tokens of the answer; `shared`: there are other queries of the
        dialogue."""
        thinking: int = self.row.get("max_reasoning_tokens", 0)
        body = self.said(message, shared=shared)
        body[self.row.get("limit_field", self.limit_field)] = limit + thinking
        if self.row.get("takes_temperature", True):
            body["temperature"] = 0
        body |= json.loads(json.dumps(self.row.get("body", {})))
        if field := self.row.get("budget_field"):
            *above, last = field.split(".")
            place = body
            for name in above:
                place = place.setdefault(name, {})
            place[last] = thinking
        return body

    def ask(self, client: Any, body: dict[str, Any]) -> Reply:
        """One attempt. Raises AttemptError."""
        try:
            said = self.scrub(self.send(client, body))
        except Exception as error:
            found = trouble(error, importlib.import_module(self.sdk))
            if found is None:
                raise
            found.message = self.scrub(found.message)
            raise found from None
        try:
            return self.read(json.loads(said))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            what = f"not a reply of this API: {one_line(said)[:100]!r}"
            raise AttemptError(what, again=True, lost=True) from None

    @abstractmethod
    def said(self, message: Message, *, shared: bool) -> dict[str, Any]:
        """`model` and the messages of a request's JSON."""

    @abstractmethod
    def client(self, timeout: float) -> Any:
        """The SDK's client, a context manager that may be used from several threads."""

    @abstractmethod
    def send(self, client: Any, body: dict[str, Any]) -> str:
        """The text of the answer. Raises what the SDK raises."""

    @abstractmethod
    def read(self, reply: Any) -> Reply:
        """Raises whatever a reply makes one stumble over that is none."""


def counted(usage: Any, *names: str) -> int | None:
    """A number in nested objects of which any may be missing or null."""
    for name in names:
        usage = usage.get(name) if isinstance(usage, dict) else None
    return usage if type(usage) is int and usage >= 0 else None
