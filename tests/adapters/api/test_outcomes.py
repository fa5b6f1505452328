"""What an endpoint does, and what becomes of it: answers, kinds of failure, attempts, tokens."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault_server import RETRYABLE, FaultServer
from handmade import answer
from short_chats import request

from f2rcli.adapters.api import APIModel
from f2rcli.adapters.api.pacing import Patience
from f2rcli.adapters.retriever import UnfinishedError
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Request, Retrieval

Make = Callable[..., APIModel]
TAGGED = PromptTemplate({"": "<|query_start|>{query}<|query_end|>\n{dialogue}"})


def asked(*queries: str) -> list[Request]:
    return [TAGGED.apply(request("你好", f"再见{q}", query=q, id=q)) for q in queries]


def once(fault: str) -> Callable[[str, int], str | None]:
    return lambda query, attempt: None if attempt else fault


def collected(answers: Iterator[Retrieval]) -> tuple[dict[str, Retrieval], BaseException | None]:
    """What came, and the exception that ended it."""
    found: dict[str, Retrieval] = {}
    try:
        for one in answers:
            assert one.request not in found
            found[one.request] = one
    except (InputError, UnfinishedError) as error:
        return found, error
    return found, None


@pytest.mark.parametrize("fault", RETRYABLE)
def test_what_may_pass_is_attempted_again(
    server: FaultServer, make: Make, kind: str, fault: str
) -> None:
    server.plan = once(fault)
    (found,) = make(kind).retrieve(asked("猫"))
    assert (found.text, found.failure) == (answer([1]), None)
    assert found.details["attempts"] == 2
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("fault", "failure", "text"),
    [
        ("length", "truncated", answer([1])),
        ("refusal", "refused", ""),
        ("filtered", "refused", answer([1])),
        ("empty", None, ""),
    ],
)
def test_an_answer_that_is_none_is_kept_and_not_asked_again(
    server: FaultServer, make: Make, kind: str, fault: str, failure: str | None, text: str
) -> None:
    server.plan = lambda query, attempt: fault
    (found,) = make(kind).retrieve(asked("猫"))
    assert (found.failure and found.failure.kind, found.text) == (failure, text)
    assert (found.prompt_tokens, found.output_tokens) == (1000, 50)
    assert len(server.received) == 1


def test_a_refusal_is_told_in_its_own_words(server: FaultServer, make: Make) -> None:
    server.plan = lambda query, attempt: "refusal"
    (found,) = make("openai").retrieve(asked("猫"))
    assert found.failure is not None
    assert found.failure.message == "I cannot help with that"


@pytest.mark.parametrize("fault", ["400", "413", "422"])
def test_an_invalid_request_is_an_error_at_once_and_stops_no_other(
    server: FaultServer, make: Make, kind: str, fault: str
) -> None:
    server.plan = lambda query, attempt: fault if query == "坏" else None
    found, ended = collected(make(kind).retrieve(asked("坏", "猫", "狗")))
    assert ended is None
    assert {q: one.failure and one.failure.kind for q, one in found.items()} == {
        "坏": "error",
        "猫": None,
        "狗": None,
    }
    failure = found["坏"].failure
    assert failure is not None
    assert failure.message.startswith(f"{fault}: no {fault} for you")
    assert len(server.received) == 3


@pytest.mark.parametrize(
    "code", ["content_filter", "data_inspection_failed", "SensitiveContentDetected"]
)
def test_a_filtered_prompt_is_refused(server: FaultServer, make: Make, kind: str, code: str) -> None:
    server.plan = lambda query, attempt: f"400-{code}"
    (found,) = make(kind).retrieve(asked("猫"))
    assert found.failure is not None
    assert found.failure.kind == "refused"
    assert len(server.received) == 1


@pytest.mark.parametrize("fault", ["401", "402", "403", "404", "429-insufficient_quota"])
def test_what_is_true_of_every_request_ends_the_run(
    server: FaultServer, make: Make, kind: str, fault: str
) -> None:
    server.plan, server.delay = lambda query, attempt: fault if query == "5" else None, 0.02
    found, ended = collected(make(kind, concurrency=2).retrieve(asked(*"0123456789")))
    assert isinstance(ended, InputError)
    line = str(ended)
    assert line.startswith(f"{server.url}{'/v1' if kind == 'openai' else ''}: {fault[:3]}: ")
    key = ("OPENAI" if kind == "openai" else "ANTHROPIC") + "_API_KEY"
    path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[kind]
    place = f"{server.url}{path} was asked, and at the model's name, some-model"
    assert (place if fault == "404" else key) in line
    assert "kept" not in line
    assert set(found) == {one.query for one in server.received} - {"5"}  # in flight, and not lost
    assert len(server.received) < 10


def test_the_key_is_nowhere_even_where_the_endpoint_repeats_it(
    server: FaultServer, make: Make, kind: str
) -> None:
    server.plan = lambda query, attempt: {"坏": "400", "停": "401"}.get(query)
    found, ended = collected(make(kind, concurrency=1).retrieve(asked("坏", "停")))
    failure = found["坏"].failure
    assert failure is not None
    assert failure.message.endswith("…")  # the server does repeat it
    assert "Gehe1m" not in failure.message + str(ended) + repr(ended)
    assert isinstance(ended, InputError)
    assert ended.__cause__ is None


def test_attempts_that_are_used_up_are_an_error(server: FaultServer, make: Make, kind: str) -> None:
    server.plan = lambda query, attempt: "500"
    (found,) = make(kind, patience=Patience(attempts=3, first=0.001)).retrieve(asked("猫"))
    assert found.failure is not None
    assert found.failed
    assert found.failure.message.startswith("500: ")
    assert (found.details["attempts"], len(server.received)) == (3, 3)


def test_an_endpoint_that_is_gone_is_not_asked_a_thousand_times(make: Make, server: FaultServer) -> None:
    server.plan = lambda query, attempt: "500"
    patience = Patience(attempts=2, first=0.001)
    model = make("openai", concurrency=1, patience=patience)
    found, ended = collected(model.retrieve(asked(*map(str, range(100)))))
    assert isinstance(ended, UnfinishedError)
    assert str(ended).startswith("the last 8 requests were asked in vain (500: ")
    assert len(found) == 8
    assert all(one.failed for one in found.values())


def test_an_endpoint_that_nobody_listens_at(make: Make) -> None:
    model = make("openai", patience=Patience(attempts=2, first=0.001))
    model.endpoint.url = "http://127.0.0.1:9/v1"
    (found,) = model.retrieve(asked("猫"))
    assert found.failure is not None
    assert found.failure.message.startswith("connection failed (ConnectError: ")


def test_an_endpoint_that_asks_to_wait_for_hours_ends_the_session(
    server: FaultServer, make: Make
) -> None:
    server.plan = lambda query, attempt: "429-7200"
    found, ended = collected(make("openai").retrieve(asked("猫")))
    assert found == {}
    assert isinstance(ended, UnfinishedError)
    assert "asks to wait 7200 s" in str(ended)


def test_no_more_requests_at_once_than_allowed(server: FaultServer, make: Make) -> None:
    server.delay = 0.03
    assert len(list(make("openai", concurrency=3).retrieve(asked(*map(str, range(12)))))) == 12
    assert server.most_at_once == 3


def test_thinking_is_kept_apart_from_the_answer(server: FaultServer, make: Make, kind: str) -> None:
    if kind == "openai":
        server.extra = {"reasoning_content": "想一想"}
        server.usage = {"completion_tokens_details": {"reasoning_tokens": 30}}
    else:
        server.extra = {"content": [{"type": "thinking", "thinking": "想一想", "signature": "x"}]}
        server.usage = {"output_tokens_details": {"thinking_tokens": 30}}
    (found,) = make(kind).retrieve(asked("猫"))
    assert found.text == answer([1])
    assert (found.details["reasoning"], found.details["reasoning_tokens"]) == ("想一想", 30)


def test_tokens_from_a_cache_are_counted_as_part_of_the_prompt(
    server: FaultServer, make: Make, kind: str
) -> None:
    if kind == "openai":
        server.usage = {"prompt_tokens_details": {"cached_tokens": 600}}
        wanted = (1000, 600, None)
    else:
        server.usage = {"cache_read_input_tokens": 600, "cache_creation_input_tokens": 50}
        wanted = (1650, 600, 50)
    (found,) = make(kind).retrieve(asked("猫"))
    details = found.details
    counts = (found.prompt_tokens, details["cached_tokens"], details.get("cache_write_tokens"))
    assert counts == wanted


@pytest.mark.parametrize(
    ("usage", "output"),
    [({"total_tokens": 1350}, 350), ({"total_tokens": None}, 50), ({"completion_tokens": None}, None)],
)
def test_thinking_that_only_the_total_counts_is_output(
    server: FaultServer, make: Make, usage: dict[str, Any], output: int | None
) -> None:
    server.usage = usage
    (found,) = make("openai").retrieve(asked("猫"))
    assert found.output_tokens == output


def test_an_answer_in_parts(server: FaultServer, make: Make) -> None:
    server.extra = {"content": [{"type": "text", "text": "一"}, {"type": "text", "text": "二"}]}
    (found,) = make("openai").retrieve(asked("猫"))
    assert found.text == "一二"


def test_which_model_answered_is_kept_where_it_is_another(
    server: FaultServer, make: Make, kind: str
) -> None:
    (found,) = make(kind).retrieve(asked("猫"))
    assert "model" not in found.details
    server.serves = "some-model-2026-01-01"
    (found,) = make(kind).retrieve(asked("狗"))
    assert found.details["model"] == "some-model-2026-01-01"
