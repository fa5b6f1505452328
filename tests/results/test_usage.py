"""What is told of tokens and costs."""

from pathlib import Path

import pytest
from handmade import evaluated, says

from f2rcli.results.runs import RunFolder
from f2rcli.results.usage import in_words
from f2rcli.tasks.types import Failure, Retrieval

EUR = {"currency": "EUR"}


@pytest.mark.parametrize(
    ("attempts", "told"),
    [
        (
            [Retrieval("a", "…", prompt_tokens=1000, output_tokens=50)],
            "1,000 prompt tokens, 50 output tokens",
        ),
        (
            [Retrieval("a", "…", prompt_tokens=1000, output_tokens=50, details={"cost": 0.25, **EUR})],
            "1,000 prompt tokens, 50 output tokens, 0.2500 EUR",
        ),
        (
            [Retrieval("a", "…", details={"cost_at_most": 0.25, **EUR})],
            "1 of 1 answers without a count of tokens, at most 0.2500 EUR for answers whose tokens were "
            "not counted",
        ),
        ([Retrieval("a", "…")], "1 of 1 answers without a count of tokens"),
        (
            [Retrieval("a", failure=Failure("error", "x"), details={"cost_lost": 0.5, **EUR})],
            "at most 0.5000 EUR for attempts without an answer",
        ),
        (
            [
                Retrieval("a", "…", prompt_tokens=7, output_tokens=5, details={"cost": 1e-6, **EUR}),
                Retrieval("b", "…", details={"cost_at_most": 0.5, "cost_lost": 0.25, **EUR}),
                Retrieval("c", "…", prompt_tokens=7, output_tokens=5),
            ],
            "14 prompt tokens, 10 output tokens, 1 of 3 answers without a count of tokens, "
            "less than 0.0001 EUR and at most 0.5000 EUR for answers whose tokens were not counted and "
            "at most 0.2500 EUR for attempts without an answer (prices for 2 of 3 answers)",
        ),
        ([Retrieval("a", failure=Failure("error", "x"))], ""),
    ],
)
def test_in_words(chats: Path, out: Path, attempts: list[Retrieval], told: str) -> None:
    run = RunFolder(evaluated(says("x"), chats, out).path)
    (run.path / "answers.jsonl").unlink()
    with run.appending() as answers:
        for attempt in attempts:
            answers.append(attempt)
    assert in_words(run) == told
