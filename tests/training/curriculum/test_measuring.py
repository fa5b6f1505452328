"""From predictions to samples: F1 and entropy by hand, and everything that does not fit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asked
import handmade
import official
import pytest
from handmade import answer

from f2rcli.tasks.errors import InputError
from f2rcli.training.curriculum.measuring import Measured, measure

LN2 = math.log(2)
RESPONSES = [answer([2, 3], [0]), answer(), "没有"]  # gold: [2, 3, 4] with [0]; [7] with [1]; nothing
LOGPROBS = [[-0.5, -0.5], [-1.0] * 4, [-0.1]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One chat with three queries, of which the last matches nothing."""
    return handmade.write_chats(tmp_path / "数据")


@pytest.fixture
def lines(data: Path) -> list[dict[str, Any]]:
    return asked.lines(data, RESPONSES, LOGPROBS)


@pytest.fixture
def measured(data: Path, tmp_path: Path) -> Callable[..., Measured]:
    def measured(*lines: dict[str, Any]) -> Measured:
        return measure(official.write(tmp_path / "回答.jsonl", *lines), asked.selection(data))

    return measured


def test_samples_by_hand(measured: Callable[..., Measured], lines: list[dict[str, Any]]) -> None:
    found = measured(*lines)
    assert [s.request for s in found.samples] == ["露营:0", "露营:1", "露营:2"]
    assert [s.f1 for s in found.samples] == pytest.approx([(0.8 + 1) / 2, 0.0, 1.0])
    assert [s.entropy for s in found.samples] == pytest.approx([LN2, 2 * LN2, 0.0], abs=1e-11)
    assert [s.empty for s in found.samples] == [False, False, True]
    assert found.failures == {"malformed": 1}  # read as an empty answer, as in the release
    assert found.without_logprobs == 0


def test_some_without_logprobs_count_as_unsure(
    measured: Callable[..., Measured], lines: list[dict[str, Any]]
) -> None:
    del lines[0]["logprobs"]
    lines[1]["logprobs"] = {"content": []}
    found = measured(*lines)
    assert [s.entropy for s in found.samples[:2]] == [10.0, 10.0]
    assert found.without_logprobs == 2


def test_failures_are_counted_but_an_error_is_no_answer(
    measured: Callable[..., Measured], lines: list[dict[str, Any]]
) -> None:
    lines[0]["f2r"] = {"failures": {"truncated": "no end within 5 tokens"}}
    assert measured(*lines).failures == {"truncated": 1, "malformed": 1}
    lines[1]["f2r"] = {"failures": {"error": "out of memory"}}
    with pytest.raises(InputError, match=r"回答.jsonl:2 .*failed with an error, so there is no answer"):
        measured(*lines)
    lines[1]["f2r"] = {"failures": {}, "unasked": True}
    with pytest.raises(
        InputError, match=r"回答.jsonl:2 .*was not asked, so there is no answer to score"
    ):
        measured(*lines)


def test_a_sliced_request_is_its_merged_answer_over_all_its_tokens(tmp_path: Path) -> None:
    """Two slices of ten turns: each finds one of two gold utterances, in two tokens and in six."""
    chat = handmade.chat("长聊天", turns=20, queries={"两头": [1, 19]}, pictures=())
    data = handmade.write_chats(tmp_path / "长", chat)

    class Sliced(handmade.Scripted):
        def retrieve(self, requests: Any) -> Any:
            for request, ids, tokens in zip(requests, ([1], [19]), (2, 6), strict=True):
                named = [{"token": "词", "logprob": -0.7}] * tokens
                yield handmade.Retrieval(request.id, text=answer(ids), logprobs=named)

    run = handmade.evaluated(Sliced(lambda request: "", max_turns=10), data, tmp_path / "运行")
    found = measure(run.path / "predictions.jsonl", asked.selection(data))
    [sample] = found.samples
    assert sample.f1 == 1.0
    assert sample.entropy == pytest.approx(math.log(8), abs=1e-10)


def test_a_request_that_is_there_twice_has_two_lines(
    data: Path, tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    twice = handmade.write_chats(tmp_path / "两次", handmade.chat(), handmade.chat())
    again = asked.lines(data, [answer([7], [1])] * 3, LOGPROBS)
    file = official.write(tmp_path / "回答.jsonl", *lines, *again)
    found = measure(file, asked.selection(twice)).samples
    assert [s.request for s in found] == [f"露营:{k}" for k in range(6)]
    assert [s.f1 for s in found] == pytest.approx([0.9, 0, 1, 0, 1, 0])  # in the order of the lines


def refusal(measured: Callable[..., Measured], *lines: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        measured(*lines)
    return str(caught.value)


def test_what_does_not_fit_is_one_line(
    measured: Callable[..., Measured], lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    lacking = refusal(measured, *lines[1:])
    assert f"回答.jsonl: lacks 1 requests of {tmp_path}/数据/聊天.json, such as 露营:0" in lacking
    twice = refusal(measured, lines[0], *lines)
    assert "回答.jsonl:2 (record 1): no request of" in twice
    other = {**lines[1], "labels": answer([0])}  # the same question with another gold answer
    assert "回答.jsonl:1 (record 0): no request of" in refusal(measured, other, *lines)
    broken = {**lines[2], "logprobs": {"content": [{"logprob": 2}]}}
    assert "回答.jsonl:3 (record 2): logprobs is not" in refusal(measured, *lines[:2], broken)
    bare = [{k: v for k, v in line.items() if k != "logprobs"} for line in lines]
    assert "no line has log-probabilities; `swift infer" in refusal(measured, *bare)
