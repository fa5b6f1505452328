"""What the two APIs have in common: where they are, who may ask, and what comes back."""

import importlib
import json
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from f2rcli.adapters.api.failures import AttemptError, Cause, one_line, trouble
from f2rcli.adapters.api.key import Key
from f2rcli.adapters.api.messages import Message
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure

NO_KEY = "none"  # the SDKs insist on a key; it is not sent
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
    client_class: str
    path: str  # of a request, under the address
    address: str  # where a model without a row is
    address_variable: str
    key_variable: str
    key_headers: tuple[str, ...]  # that its SDK may put the key into
    limit_field: str

    def __init__(self, row: dict[str, Any], url: str | None = None) -> None:
        """`url` is the user's own address. Raises InputError for one that is none, and for a secret in
        it or in the row."""
        self.row = row
        self.model: str = row["model"]
        self.key = Key(row.get("key", self.key_variable))
        self.source, found = self._found(url)
        self.own = self.source in ("--endpoint", self.address_variable)
        self.url = found.rstrip("/")
        self._check_address()
        self.keep_out([row, found])

    def _found(self, url: str | None) -> tuple[str, str]:
        """Where an address was found, and the address."""
        if url is not None:
            if not url.strip():
                raise InputError("--endpoint is empty", fix="leave it out for the model's own address")
            return "--endpoint", url
        if "endpoint" in self.row:
            return "endpoint of the model's row", self.row["endpoint"]
        if own := os.environ.get(self.address_variable):
            return self.address_variable, own
        return "", self.address

    def _check_address(self) -> None:
        try:
            parts = urlsplit(self.url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            sound = sound and self.url.isprintable() and " " not in self.url
        except ValueError:
            sound = False
        if re.search(r"[@?#]|/sk-\w", self.url):  # not shown
            what = (
                "may be no more than scheme, host, port and path: a key in it would be kept in the run"
            )
            raise InputError(what, where=self.source, fix=f"put the key into {self.key.variable}")
        if not sound:
            raise self._no_address()

    def keep_out(self, written: Any) -> None:
        """Raises InputError where what is to be written into the run holds the key."""
        if self.key.in_any(written):
            what = f"the key that {self.key.variable} holds is in the model's row or address"
            raise InputError(what, fix="it would be kept in the run: take it out")

    def _no_address(self) -> InputError:
        what = f"{self.key.cut(self.url)!r} is not an address such as http://localhost:8000/v1"
        return InputError(what, where=self.source)

    @property
    def place(self) -> str:
        """The address in short, for a name: without the scheme, and without the usual path."""
        return self.url.partition("://")[2].removesuffix("/v1")

    def unlock(self) -> None:
        """See whether it can be asked. Raises InputError if the key, or the SDK, is missing."""
        try:
            importlib.import_module(self.sdk)
        except ImportError:
            fix = "pip install 'f2rcli[api]'"
            raise InputError(f"{self.sdk} is not installed", where=self.model, fix=fix) from None
        if not self.key.value and not self.own:
            what = f"{self.key.variable} is not set: it is to hold the key for {self.url}"
            raise InputError(what, where=self.model)
        if not self.key.sound:
            raise InputError(f"{self.key.variable} has signs in it that no key has")
        try:
            with self.client(1.0):
                pass
        except Exception as error:  # an address that its library understands less of than we do
            if type(error).__name__ != "InvalidURL":
                raise
            raise self._no_address() from None

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
            raw = self.send(client, body)
        except Exception as error:
            found = trouble(error, importlib.import_module(self.sdk), self.key.cut)
            if found is None:
                raise
            raise found from None
        try:
            return self.read(self.key.cut_all(json.loads(raw)))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            what = f"not a reply of this API: {one_line(self.key.cut(raw))[:100]!r}"
            raise AttemptError(what, again=True, lost=True) from None

    def advice(self, cause: Cause) -> str:
        """What to look at where no request can be answered."""
        if cause == "key" and not self.key.value:
            return f"no key was sent: {self.key.variable} is empty"
        return {
            "key": f"look at {self.key.variable}, and at what its key may use",
            "account": f"look at the account that the key in {self.key.variable} belongs to",
            "place": f"look at the address, {self.url}{self.path} was asked, and at the model's name, "
            f"{self.model}",
            "redirect": "redirects are not followed: give that address itself if it is the right one",
        }[cause]

    @abstractmethod
    def said(self, message: Message, *, shared: bool) -> dict[str, Any]:
        """`model` and the messages of a request's JSON."""

    def client(self, timeout: float) -> Any:
        """The SDK's client, a context manager that may be used from several threads. It follows no
        redirect: chats would go to an address that nobody named."""
        sdk: Any = importlib.import_module(self.sdk)
        times = sdk.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        return getattr(sdk, self.client_class)(
            api_key=self.key.value or NO_KEY,
            base_url=self.url,
            max_retries=0,
            timeout=times,
            http_client=sdk.DefaultHttpxClient(timeout=times, follow_redirects=False),
        )

    def headers(self) -> dict[str, Any]:
        """More headers of a request: where there is no key, none is sent."""
        sdk: Any = importlib.import_module(self.sdk)
        return {} if self.key.value else {name: sdk.Omit() for name in self.key_headers}

    @abstractmethod
    def send(self, client: Any, body: dict[str, Any]) -> str:
        """The text of the answer. Raises what the SDK raises."""

    @abstractmethod
    def read(self, reply: Any) -> Reply:
        """Raises AttemptError for an answer that is not whole, and whatever a reply that is none makes
        one stumble over."""


def counted(usage: Any, *names: str) -> int | None:
    """A number in nested objects of which any may be missing or null."""
    for name in names:
        usage = usage.get(name) if isinstance(usage, dict) else None
    return usage if type(usage) is int and usage >= 0 else None
