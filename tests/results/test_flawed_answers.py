"""What a retriever of somebody's own may yield by mistake: one line, and nothing of it on disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from handmade import answer, evaluated, lines, says

from f2rcli.adapters.retriever import Retriever
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure, Request, Retrieval

FLAWED: dict[str, Any] = {
    "number": lambda name: 5,
    "nothing": lambda name: None,
    "text alone": lambda name: answer([1]),
    "text of no text": lambda name: Retrieval(name, text=7),
    "list as text": lambda name: Retrieval(name, text=["你好"]),
    "unknown failure": lambda name: Retrieval(name, failure=Failure("timeout")),
    "failure without words": lambda name: Retrieval(name, failure=Failure("error", None)),
    "seconds": lambda name: Retrieval(name, text=answer(), seconds="x"),
    "tokens": lambda name: Retrieval(name, text=answer(), prompt_tokens=[1]),
    "request": lambda name: Retrieval([name], text=answer()),
    "long": lambda name: answer(range(1000)),
    "long failure": lambda name: Retrieval(name, failure=Failure("长" * 1000)),
    "long request": lambda name: Retrieval(name * 1000, text=answer()),
}


class Flawed(Retriever):
    """Answers the first request, and yields for the second what is no answer."""

    uses_images = False

    def __init__(self, makes: Any) -> None:
        self.makes = makes

    def identity(self) -> dict[str, Any]:
        return {"config": 0}

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        yield Retrieval(requests[0].id, text=answer([2]))
        yield self.makes(requests[1].id)


@pytest.mark.parametrize("kind", FLAWED)
def test_what_is_no_answer_ends_the_run_and_the_next_resumes_it(
    chats: Path, out: Path, kind: str
) -> None:
    with pytest.raises(InputError) as caught:
        evaluated(Flawed(FLAWED[kind]), chats, out)
    assert str(caught.value).startswith("手写 模型 yielded ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    [file] = out.rglob("answers.jsonl")
    assert [line["request"] for line in lines(file)] == ["露营:0"]
    mended = says(answer())
    run = evaluated(mended, chats, out)
    assert run.path == file.parent
    assert [request.id for request in mended.asked] == ["露营:1", "露营:2"]
    assert run.errors() == {}


def test_a_whole_request_in_place_of_its_id_is_not_printed(chats: Path, out: Path) -> None:
    class Whole(Flawed):
        def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
            yield Retrieval(requests[0], text=answer())  # type: ignore[arg-type]

    with pytest.raises(InputError) as caught:
        evaluated(Whole(None), chats, out)
    said = "手写 模型 yielded a Retrieval of a whole Request: `request` must be its id"
    assert str(caught.value) == said
