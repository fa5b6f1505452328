"""curve.json of a run: only where similarities are kept, and of what was answered."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import answer, evaluated, says

from f2rcli.adapters.retriever import Retriever
from f2rcli.tasks.types import Failure, Request, Retrieval


class Keeping(Retriever):
    """Answers nothing; every utterance of the first request is at 0.9, of the second at 0.4."""

    uses_images = False

    def identity(self) -> dict[str, Any]:
        return {"thresholds": {"utterances": 0.5, "images": 0.2}}

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        for request, value in zip(requests, (0.9, 0.4), strict=False):
            texts = [None if u.images else value for u in request.dialogue.utterances]
            images = [0.3 for _ in request.dialogue.images]
            similarity = {"similarity": {"utterances": texts, "images": images}}
            yield Retrieval(request.id, answer(), details=similarity)
        for request in requests[2:]:
            yield Retrieval(request.id, failure=Failure("error", "服务器忙"))


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return handmade.write_chats(tmp_path / "数据")


def test_it_is_of_the_requests_that_have_similarities(chats: Path, tmp_path: Path) -> None:
    run = evaluated(Keeping(), chats, tmp_path / "runs")
    curve = json.loads((run.path / "curve.json").read_text(encoding="utf-8"))
    assert curve["requests"] == 2
    assert curve["thresholds"] == {"utterances": 0.5, "images": 0.2}
    own = next(point for point in curve["points"] if point["offset"] == 0)
    # The chat has 12 turns, of which 3 and 7 are pictures; gold is 2, 3, 4 with image 0, then 7 with 1.
    # Taken are all 12 of the first and the two of pictures of the second: 3 + 1 of 14 are right, of 4.
    assert own["utterance"] == pytest.approx({"precision": 4 / 14, "recall": 1.0, "f1": 8 / 18})
    assert own["image"] == pytest.approx({"precision": 2 / 4, "recall": 1.0, "f1": 4 / 6})


def test_a_run_without_similarities_has_none(chats: Path, tmp_path: Path) -> None:
    run = evaluated(says(answer([2], [0])), chats, tmp_path / "runs")
    assert (run.path / "scores.json").is_file()
    assert not (run.path / "curve.json").exists()
