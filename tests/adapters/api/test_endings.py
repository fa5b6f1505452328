"""How answers end, and which of them are answers."""

from collections.abc import Callable
from typing import Any

import pytest
from fault_server import FaultServer
from handmade import answer
from short_chats import request

from f2rcli.adapters.api import APIModel
from f2rcli.adapters.api.pacing import Patience

Make = Callable[..., APIModel]
TWICE = Patience(attempts=2, first=0.001, timeout=0.3)


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("ends-stop", None),
        ("ends-STOP", None),
        ("ends-end_turn", None),
        ("ends-stop_sequence", None),
        ("ends-eos_token", None),
        ("ends-", None),  # no ending, and a text
        ("ends-stop-empty", None),
        ("ends-length", "truncated"),
        ("ends-length-empty", "truncated"),
        ("ends-model_context_window_exceeded", "truncated"),
        ("ends-content_filter: PROHIBITED_CONTENT", "refused"),
        ("ends-safety-empty", "refused"),
    ],
)
def test_endings_that_are_known(
    server: FaultServer, make: Make, kind: str, fault: str, failure: str | None
) -> None:
    server.plan, server.says = lambda query, attempt: fault, lambda query: answer([1])
    (found,) = make(kind, patience=TWICE).retrieve([request("猫")])
    assert (found.failure and found.failure.kind) == failure
    assert found.text == ("" if fault.endswith("empty") else answer([1]))
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("ends-error-empty", "the answer ended with 'error'"),
        ("ends-abort", "the answer ended with 'abort'"),
        ("ends-tool_calls-empty", "the answer ended with 'tool_calls'"),
        ("ends-pause_turn", "the answer ended with 'pause_turn'"),
        ("ends-什么", "the answer ended with '什么'"),
        ("ends-empty", "the answer is empty and has no ending"),
    ],
)
def test_an_ending_that_is_not_known_to_be_good_is_an_error_and_attempted_again(
    server: FaultServer, make: Make, kind: str, fault: str, named: str
) -> None:
    server.plan, server.says = lambda query, attempt: fault, lambda query: answer([1])
    (found,) = make(kind, patience=TWICE).retrieve([request("猫")])
    assert found.failed
    assert found.failure is not None
    assert found.failure.message == named
    assert (found.text, len(server.received)) == (None, 2)
    server.plan = lambda query, attempt: None if attempt % 2 else fault
    (found,) = make(kind, patience=TWICE).retrieve([request("狗")])
    assert (found.text, found.failure) == (answer([1]), None)


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"content": {"a": 1}}, "the answer is no text but \"{'a': 1}\""),
        ({"content": 5}, "the answer is no text but '5'"),
        ({"content": [{"type": "image", "url": "x"}]}, "the answer is no text but "),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "the answer ended with 'tool_calls'"),
    ],
)
def test_what_is_no_text_is_no_answer(
    server: FaultServer, make: Make, extra: dict[str, Any], named: str
) -> None:
    server.extra = extra
    (found,) = make("openai", patience=TWICE).retrieve([request("猫")])
    assert found.failed
    assert found.failure is not None
    assert found.failure.message.startswith(named)
    assert len(server.received) == 2
