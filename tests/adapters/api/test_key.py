"""The key: who gets to see it."""

import json
import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from fault_server import FaultServer
from hypothesis import given
from hypothesis import strategies as st
from short_chats import request

from f2rcli.adapters.api import APIModel
from f2rcli.adapters.api.endpoint import Endpoint
from f2rcli.adapters.api.key import Key
from f2rcli.adapters.api.openai_chat import ChatCompletions
from f2rcli.tasks.errors import InputError

Make = Callable[..., APIModel]
KEY = "sk-Gehe1m/01+23&45-6789"
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON twice": lambda key: json.dumps(json.dumps(key)[1:-1])[1:-1],
    "slashes": lambda key: key.replace("/", "\\/"),
    "code points": lambda key: "".join(f"\\u{ord(sign):04X}" for sign in key),
    "URL": lambda key: quote(key, safe=""),
    "URL twice": lambda key: quote(quote(key, safe=""), safe=""),
    "every sign in a URL": lambda key: "".join(f"%{ord(sign):02x}" for sign in key),
    "HTML": lambda key: "".join(f"&#{ord(sign)};" for sign in key),
    "HTML by name": lambda key: key.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"),
}


def key_of(value: str) -> Key:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_KEY", value)
        return Key("SOME_KEY")


@pytest.mark.parametrize("form", FORMS)
@given(value=st.text(string.printable[:94], min_size=4, max_size=30))
def test_a_key_is_cut_out_in_whatever_form(form: str, value: str) -> None:
    key = key_of(value)
    for said in (FORMS[form](value), f"前{FORMS[form](value)}后"):
        assert key.cut(said) == said.replace(FORMS[form](value), "…")
    assert key.cut_all({"甲": [value, 3, None], value: {"乙": value}}) == {
        "甲": ["…", 3, None],
        "…": {"乙": "…"},
    }


def test_what_is_too_short_to_be_a_key_is_left() -> None:
    assert key_of("abc").cut("abcdef") == "abcdef"
    assert key_of("").cut("abcdef") == "abcdef"
    assert not key_of("local").in_any("http://localhost:8000/v1")  # as servers of one's own are given


@pytest.mark.parametrize("fault", [None, "escaped", "slashed", "400-long", "401-long"])
def test_no_part_of_it_is_kept_however_an_endpoint_repeats_it(
    server: FaultServer, make: Make, kind: str, fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    server.plan, server.says, server.serves = lambda query, attempt: fault, lambda query: KEY, KEY
    try:
        (found,) = make(kind).retrieve([request("你好")])
        told = repr(found)
    except InputError as error:
        told = f"{error} {error!r} {error.__cause__}"
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert "sk-Ge" not in told
    assert "…" in told


def test_where_there_is_none_none_is_sent_and_that_is_said(
    server: FaultServer, make: Make, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "OPENAI_API_KEY" if kind == "openai" else "ANTHROPIC_API_KEY"
    monkeypatch.setenv(variable, "")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "of-another-program")
    (found,) = make(kind).retrieve([request("你好")])
    assert found.failure is None
    assert not {"authorization", "x-api-key"} & server.received[0].headers.keys()
    server.plan = lambda query, attempt: "401"
    with pytest.raises(InputError, match=f"no key was sent: {variable} is empty"):
        list(make(kind).retrieve([request("你好")]))


@pytest.mark.parametrize(
    "row",
    [
        {"model": f"models/{KEY}"},
        {"body": {"user": f"me, {KEY}"}},
        {"body": {"metadata": {KEY: 1}}},
        {"endpoint": f"http://127.0.0.1/{KEY}/v1"},
    ],
)
def test_it_is_not_written_into_the_run(row: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(InputError) as refused:
        ChatCompletions({"model": "m", **row})
    assert "sk-Ge" not in str(refused.value)


def sound(url: str | None, row: dict[str, str] | None = None) -> Endpoint:
    return ChatCompletions({"model": "m", **(row or {})}, url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "--endpoint is empty"),
        (" \t", "--endpoint is empty"),
        ("localhost:8000", "--endpoint: 'localhost:8000' is not an address such as"),
        ("ftp://x/v1", "'ftp://x/v1' is not an address"),
        ("http://127.0.0.1:abc/v1", "'http://127.0.0.1:abc/v1' is not an address"),
        ("http://127.0.0.1:99999/v1", "is not an address"),
        ("http://127.0.0.1:0/v1", "is not an address"),
        ("http://exa mple/v1", "is not an address"),
        ("http://x/v1#sk-test-SECRET123", "put the key into OPENAI_API_KEY"),
        ("http://x/v1?key=sk-test-SECRET123", "put the key into OPENAI_API_KEY"),
        ("http://sk-test-SECRET123@x/v1", "put the key into OPENAI_API_KEY"),
        ("http://x/sk-test-SECRET123/v1", "put the key into OPENAI_API_KEY"),
    ],
)
def test_an_address_that_is_none(url: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        sound(url)
    assert said in str(refused.value)
    assert "SECRET" not in str(refused.value)


def test_an_address_that_only_its_library_finds_wrong() -> None:
    with pytest.raises(InputError, match=r"'http://256\.1\.1\.1/v1' is not an address"):
        sound("http://256.1.1.1/v1").unlock()


def test_where_a_wrong_address_came_from_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "foo")
    with pytest.raises(InputError, match=r"^OPENAI_BASE_URL: 'foo' is not an address"):
        sound(None)
    with pytest.raises(InputError, match=r"^endpoint of the model's row: 'bar' is not an address"):
        sound(None, {"endpoint": "bar"})


def test_a_redirect_is_not_followed(server: FaultServer, make: Make, kind: str) -> None:
    server.plan = lambda query, attempt: f"307-{server.url}/elsewhere"
    with pytest.raises(
        InputError, match=rf"307: it points to {server.url}/elsewhere; redirects are not"
    ):
        list(make(kind).retrieve([request("你好")]))
    assert len(server.received) == 1
