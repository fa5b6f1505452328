"""Asking about one dialogue, outside any task."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from short_chats import TEMPLATE, fragment, picture

from f2rcli.adapters.ask import ask
from f2rcli.adapters.lexical import BM25
from f2rcli.adapters.reference import Oracle
from f2rcli.adapters.retriever import Retriever, found
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.types import Dialogue, Failure, Fragment, Image, Request, Retrieval, Utterance


class Scripted(Retriever):
    """Answers with the given retrievals' texts and failures; remembers what it was asked."""

    def __init__(
        self, *answers: tuple[str | None, Failure | None], max_turns: int | None = None
    ) -> None:
        self.answers = answers
        self.max_turns = max_turns
        self.asked: list[Request] = []

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        self.asked = list(requests)
        pairs = list(zip(requests, self.answers, strict=True))
        for request, (text, failure) in reversed(pairs):  # in any order
            yield Retrieval(request.id, text, failure)


def answer(utterances: Sequence[int], images: Sequence[int] = ()) -> str:
    return (
        f"<|utt_ids_start|>{list(utterances)}<|utt_ids_end|>;"
        f"<|img_ids_start|>{list(images)}<|img_ids_end|>"
    )


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    for n in range(3):
        picture(tmp_path / f"{n}.png", n)
    return ImageFolder((tmp_path,))


@pytest.fixture
def chat(folder: ImageFolder) -> Dialogue:
    """Six turns; the second, the fourth and the sixth carry pictures 0, 1 and 2."""
    turns = tuple(Utterance(n, "阿梅", f"第{n}句", (n // 2,) if n % 2 else ()) for n in range(6))
    return Dialogue("聊天", turns, tuple(Image(n, f"{n}.png") for n in range(3)))


def test_the_fragment_is_found(chat: Dialogue, folder: ImageFolder) -> None:
    found = ask(BM25(0.1), chat, "第3句", TEMPLATE, folder)
    assert 3 in found.fragment.utterances
    assert 1 in found.fragment.images
    assert found.failures == []


def test_the_model_gets_the_query_in_the_template_and_no_gold(
    chat: Dialogue, folder: ImageFolder
) -> None:
    model = Scripted((answer([]), None))
    assert ask(model, chat, "走丢的猫", TEMPLATE, folder).fragment == Fragment()
    (request,) = model.asked
    assert request.gold is None
    assert request.query.text == "走丢的猫"
    assert request.prompt.head == "走丢的猫\n"
    files = [Path(image.file or "") for image in request.dialogue.images]
    assert [file.name for file in files] == ["0.png", "1.png", "2.png"]
    assert all(file.is_file() for file in files)


def test_ids_that_the_dialogue_lacks_are_left_out(chat: Dialogue, folder: ImageFolder) -> None:
    model = Scripted((answer([1, 99], [2, 3]), None))
    assert ask(model, chat, "猫", TEMPLATE, folder).fragment == fragment([1], [2])


def test_long_dialogues_are_cut_and_put_together_again(chat: Dialogue, folder: ImageFolder) -> None:
    # Three slices of two turns: utterance ids stay, the only picture of each is its image 0.
    model = Scripted(
        (answer([0]), None), (answer([3], [0]), None), (answer([4, 5], [0, 1]), None), max_turns=2
    )
    found = ask(model, chat, "猫", TEMPLATE, folder)
    assert [len(request.dialogue.utterances) for request in model.asked] == [2, 2, 2]
    assert found.fragment == fragment([0, 3, 4, 5], [1, 2])  # slice 2 has no image 1
    assert found.failures == []


def test_failures_are_told_and_the_rest_is_kept(chat: Dialogue, folder: ImageFolder) -> None:
    model = Scripted(
        (None, Failure("error", "没有内存")),
        (answer([2]), Failure("truncated", "no end within 9 tokens")),
        ("第4句", None),
        max_turns=2,
    )
    found = ask(model, chat, "猫", TEMPLATE, folder)
    assert found.fragment == fragment([2])
    assert sorted(found.failures) == [
        "error: 没有内存",
        "malformed answer: '第4句'",
        "truncated: no end within 9 tokens",
    ]


@pytest.mark.parametrize("query", ["", " \n", "\u3000"])
def test_an_empty_query_is_refused(chat: Dialogue, folder: ImageFolder, query: str) -> None:
    with pytest.raises(InputError, match="the query is empty"):
        ask(BM25(0.1), chat, query, TEMPLATE, folder)


def test_a_row_that_needs_gold_is_refused(chat: Dialogue, folder: ImageFolder) -> None:
    with pytest.raises(InputError, match="your chat has none"):
        ask(Oracle(), chat, "猫", TEMPLATE, folder)


def test_a_missing_picture_matters_only_to_those_who_look(chat: Dialogue, tmp_path: Path) -> None:
    empty = tmp_path / "空"
    empty.mkdir()
    nowhere = ImageFolder((empty,))
    assert ask(BM25(0.1), chat, "第3句", TEMPLATE, nowhere).failures == []
    with pytest.raises(InputError, match="no such image") as caught:
        ask(Scripted((answer([]), None)), chat, "猫", TEMPLATE, nowhere)
    assert "0.png" in str(caught.value)


def test_found_is_what_a_retriever_without_text_of_its_own_gives(
    chat: Dialogue, folder: ImageFolder
) -> None:
    class Last(Retriever):
        def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
            for request in requests:
                yield found(request, fragment([request.dialogue.utterances[-1].id], [2]))

    assert ask(Last(), chat, "猫", TEMPLATE, folder).fragment == fragment([5], [2])
