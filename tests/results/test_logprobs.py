"""Log-probabilities of a run: on disk with the answers, in the predictions, and nowhere unasked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import Scripted, answer, evaluated, lines, says

from f2rcli.results.evaluate import rebuild
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request, Retrieval, TokenLogprob


class Sure(Scripted):
    """Answers backwards; every answer has two tokens, of which the first is named after its request."""

    def __init__(self, **attributes: object) -> None:
        super().__init__(lambda request: answer([2]), **attributes)

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        for got in super().retrieve(requests[::-1]):
            yield replace(got, logprobs=tokens(got.request))


def tokens(name: str) -> list[TokenLogprob]:
    return [{"token": name, "logprob": -0.25}, {"token": "<|im_end|>", "logprob": -len(name)}]


def test_they_are_with_every_answer_and_in_the_predictions(chats: Path, out: Path) -> None:
    run = evaluated(Sure(), chats, out)
    for line in lines(run.path / "answers.jsonl"):
        assert line["logprobs"] == tokens(line["request"])
    predictions = (run.path / "predictions.jsonl").read_bytes()
    for line in lines(run.path / "predictions.jsonl"):
        assert line["logprobs"] == {"content": tokens(line["f2r"]["request"])}
    rebuild(run)
    assert (run.path / "predictions.jsonl").read_bytes() == predictions


def test_those_of_slices_follow_each_other(tmp_path: Path, out: Path) -> None:
    long = handmade.chat("长聊天", turns=30, queries={"开头": [1]}, pictures=())
    run = evaluated(Sure(max_turns=10), handmade.write_chats(tmp_path / "数据", long), out)
    [line] = lines(run.path / "predictions.jsonl")
    slices = [f"长聊天:0_split_{k}" for k in range(3)]
    assert [line["request"] for line in lines(run.path / "answers.jsonl")] == slices[::-1]
    assert line["logprobs"]["content"] == [token for name in slices for token in tokens(name)]


def test_without_them_nothing_is_written_of_them(chats: Path, out: Path) -> None:
    run = evaluated(says(answer([1])), chats, out)
    for name in ("answers.jsonl", "predictions.jsonl"):
        assert b"logprob" not in (run.path / name).read_bytes()
    assert {attempt.logprobs for attempt in run.attempts().values()} == {None}


@pytest.mark.parametrize("wrong", [[-0.5], [{"token": "找"}], {"content": []}, [{"logprob": 0.5}]])
def test_what_are_none_are_refused(chats: Path, out: Path, wrong: Any) -> None:
    class Wrong(Sure):
        def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
            for got in super().retrieve(requests):
                yield replace(got, logprobs=wrong)

    with pytest.raises(InputError, match="whose logprobs are not those of tokens"):
        evaluated(Wrong(), chats, out)
