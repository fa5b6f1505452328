"""Log-probabilities in prediction files: read as they are written, or refused."""

import math
from pathlib import Path
from typing import Any

import pytest
from official import answer, content, line, record, write

from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.logprobs import read_logprobs, with_logprobs
from f2rcli.tasks.merging import merge_predictions
from f2rcli.tasks.types import TokenLogprob

TOKENS: list[TokenLogprob] = [{"token": "找", "logprob": -0.5}, {"token": "<|im_end|>", "logprob": 0.0}]


def test_what_is_written_is_read_again() -> None:
    assert read_logprobs(with_logprobs({"response": ""}, TOKENS)) == TOKENS
    assert with_logprobs({"response": ""}, []) == {"response": ""}


def test_what_other_tools_write_beside_them_is_left_out() -> None:
    content = [{"token": "找", "logprob": -1, "bytes": [230], "top_logprobs": []}, {"logprob": -2.5}]
    assert read_logprobs({"logprobs": {"content": content, "refusal": None}}) == [
        {"token": "找", "logprob": -1.0},
        {"token": "", "logprob": -2.5},
    ]


@pytest.mark.parametrize("empty", [{}, {"logprobs": None}, {"logprobs": {}}, {"logprobs": []}])
def test_none_are_none(empty: dict[str, Any]) -> None:
    assert read_logprobs(empty) == []
    assert read_logprobs({"logprobs": {"content": None}}) == []
    assert read_logprobs({"logprobs": {"content": []}}) == []


@pytest.mark.parametrize(
    "content",
    [
        "-0.5",
        {"logprob": -0.5},
        [-0.5],
        [{"token": "找"}],
        [{"token": "找", "logprob": None}],
        [{"token": "找", "logprob": "-0.5"}],
        [{"token": "找", "logprob": True}],
        [{"token": "找", "logprob": 0.1}],  # a probability, perhaps
        [{"token": "找", "logprob": math.nan}],
        [{"token": "找", "logprob": -math.inf}],
        [*TOKENS, {}],
    ],
)
def test_what_is_no_logarithm_of_a_probability_is_refused(content: Any) -> None:
    with pytest.raises(InputError, match="logprobs is not a content of tokens with a logprob"):
        read_logprobs({"logprobs": {"content": content}})


def test_merged_slices_have_those_of_all_their_tokens_in_order(tmp_path: Path) -> None:
    turns = ("user1: 你好", "user2: 在吗", "user1: 可爱", "user2: 是")
    halves = []
    for k, value in ((1, -2.0), (0, -1.0)):
        made = line(*turns[2 * k : 2 * k + 2], response=answer([2 * k]), dialogue_id=f"对话_split_{k}")
        made["messages"][0]["content"] = content(*turns[2 * k : 2 * k + 2], start=2 * k)
        halves.append(with_logprobs(made, [{"token": f"第{k}片", "logprob": value}]))
    task = load_task(str(write(tmp_path / "原.jsonl", record(*turns))))
    [merged] = merge_predictions(write(tmp_path / "片.jsonl", *halves), task)
    assert merged["response"] == answer([0, 2])
    assert merged["logprobs"] == {
        "content": [{"token": "第0片", "logprob": -1.0}, {"token": "第1片", "logprob": -2.0}]
    }
