"""What an embedding retriever takes, over an encoder whose vectors are known."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from flat import Flat, at
from short_chats import fragment, picture, request

from f2rcli.adapters.embedding.retriever import AT_ONCE, EmbeddingRetriever
from f2rcli.adapters.encoders.encoder import Embedding
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.curves import Similarities, Thresholds
from f2rcli.tasks.types import Fragment, Request

ANGLES = {"猫": 0, "小猫": 60, "狗": 90, "鱼": 180, "猫\n狗": 30, "猫\n狗\n鱼": 80, "狗\n鱼": 120}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "缓存"))


class Known(Flat):
    """Texts as in `ANGLES`; a picture points where its file's name says."""

    def __init__(self, digest: str = "已知") -> None:
        super().__init__(digest, ANGLES.__getitem__)

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        self.seen += [file.name for file in files]
        return [Embedding(at(float(file.stem))) for file in files]


class Reading(Known):
    """Sees no pictures."""

    sees_pictures = False


class Several(Known):
    """A picture is two vectors, one to either side of where its name says."""

    many = True

    def images(self, files: Sequence[Path]) -> list[Embedding]:
        angles = [float(file.stem) for file in files]
        sides = [
            (-40, 40) if angle == 80 else (40, -40) for angle in angles
        ]  # the nearer not at one end
        return [
            Embedding(np.stack([at(angle + side) for side in both]))
            for angle, both in zip(angles, sides, strict=True)
        ]


class Asking(Known):
    """A query points the other way than the same text in a chat."""

    symmetric = False

    def queries(self, texts: Sequence[str]) -> list[Embedding]:
        return [Embedding(at(180 + ANGLES[text])) for text in texts]


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    files = [picture(tmp_path / f"{angle}.png", angle) for angle in (45, 80, 170)]
    return request("小猫", ("狗", files[:1]), ("", files[1:]), "猫", "", query="猫")


def taken(retriever: EmbeddingRetriever, one: Request) -> Fragment | None:
    [found] = retriever.retrieve([one])
    return parse_strict(found.text or "")


def test_similarities_are_cosines_with_the_query(asked: Request) -> None:
    retriever = EmbeddingRetriever(Known(), Thresholds(0.5, 0.7))
    [(_, found)] = retriever.similarities([asked])
    assert found.utterances[:2] == (0.5, 0.0)
    assert found.utterances[2] is None  # nothing but pictures
    assert found.utterances[3:] == (1.0, None)  # nothing at all
    expected = [round(math.cos(math.radians(angle)), 6) for angle in (45, 80, 170)]
    assert list(found.images) == pytest.approx(expected, abs=2e-6)


def test_what_reaches_its_threshold_is_taken(asked: Request) -> None:
    assert taken(EmbeddingRetriever(Known(), Thresholds(0.5, 0.7)), asked) == fragment([0, 3], [0])
    # 0.17 for images: picture 1 (cosine 0.1736), and the utterance that is only pictures with it
    low = EmbeddingRetriever(Known(), Thresholds(0.6, 0.17))
    assert taken(low, asked) == fragment([2, 3], [0, 1])
    assert taken(EmbeddingRetriever(Known(), Thresholds(1, 1)), asked) == fragment([3])


def test_what_is_kept_decides_again(asked: Request) -> None:
    rule = Thresholds(0.5, 0.17)
    [found] = EmbeddingRetriever(Known(), rule).retrieve([asked])
    kept = Similarities.of_details(found.details, asked.dialogue)
    assert kept is not None
    assert kept.utterances == (0.5, 0.0, None, 1.0, None)


@pytest.mark.parametrize(
    ("number", "utterances", "images"),
    [(1, [3], [0]), (2, [0, 3], [0, 1]), (3, [0, 2, 3], [0, 1, 2]), (9, [0, 1, 2, 3], [0, 1, 2])],
)
def test_the_nearest(asked: Request, number: int, utterances: list[int], images: list[int]) -> None:
    """Utterance 2 counts as near as its nearest picture: 0.17, between 0.5 and 0."""
    assert taken(EmbeddingRetriever(Known(), number), asked) == fragment(utterances, images)


def test_an_encoder_of_texts_takes_pictures_with_their_utterances(asked: Request) -> None:
    encoder = Reading()
    retriever = EmbeddingRetriever(encoder, Thresholds(0.0, 0.0))
    assert not retriever.uses_images
    assert taken(retriever, asked) == fragment([0, 1, 3], [0])  # a turn of pictures has no text
    assert taken(EmbeddingRetriever(encoder, 3), asked) == fragment([0, 1, 3], [0])
    assert taken(EmbeddingRetriever(encoder, 2), asked) == fragment([0, 3])
    assert encoder.seen == []


def test_neighbours_are_read_along(tmp_path: Path) -> None:
    one = request("猫", "狗", "鱼", query="猫")
    [(_, found)] = EmbeddingRetriever(Known(), None, context=1).similarities([one])
    expected = [math.cos(math.radians(angle)) for angle in (30, 80, 120)]
    assert list(found.utterances) == pytest.approx(expected, abs=1e-6)
    cake = picture(tmp_path / "0.png")
    turns = ("猫", ("", [cake]), "狗")
    [(_, seeing)] = EmbeddingRetriever(Known(), None, context=1).similarities([request(*turns)])
    assert seeing.utterances == (1.0, None, 0.0)  # what is only pictures goes with them
    [(_, reading)] = EmbeddingRetriever(Reading("读"), None, context=1).similarities([request(*turns)])
    assert reading.utterances == pytest.approx((1.0, math.cos(math.radians(30)), 0.0), abs=1e-6)
    assert reading.images == (reading.utterances[1],)


def test_of_several_vectors_the_nearest_counts(asked: Request) -> None:
    """Twice, so that the second time they come from the cache."""
    for _ in range(2):
        [(_, found)] = EmbeddingRetriever(Several("多"), None).similarities([asked])
        nearest = [math.cos(math.radians(angle)) for angle in (5, 40, 130)]
        assert list(found.images) == pytest.approx(nearest, abs=1e-6)


def test_a_query_may_be_read_another_way(asked: Request) -> None:
    for _ in range(2):
        [(_, found)] = EmbeddingRetriever(Asking("问"), None).similarities([asked])
        assert found.utterances == (-0.5, 0.0, None, -1.0, None)


def test_a_picture_that_is_hidden_is_not_compared() -> None:
    hidden = request(("", [Path("0.png")]), "猫")
    image = hidden.dialogue.images[0]
    object.__setattr__(image, "file", None)  # as under the probe text-only
    [(_, found)] = EmbeddingRetriever(Known(), None).similarities([hidden])
    assert found == Similarities((None, 1.0), (None,))


def test_everything_is_embedded_once_and_answered_in_order(asked: Request) -> None:
    encoder = Known()
    retriever = EmbeddingRetriever(encoder, 1)
    many = [request("猫", "狗", query=query, id=f"{i}") for i, query in enumerate("猫狗鱼" * AT_ONCE)]
    found = list(retriever.retrieve(many))
    assert [one.request for one in found] == [one.id for one in many]
    assert {parse_strict(one.text or "") for one in found[::3]} == {fragment([0])}
    assert {parse_strict(one.text or "") for one in found[1::3]} == {fragment([1])}
    assert sorted(encoder.read) == sorted(["猫", "狗", "鱼"])


def test_a_run_is_of_its_encoder_and_its_rule() -> None:
    made = [
        EmbeddingRetriever(Known(), Thresholds(0.5, 0.2)),
        EmbeddingRetriever(Known(), Thresholds(0.5, 0.3)),
        EmbeddingRetriever(Known(), 5),
        EmbeddingRetriever(Known(), 6),
        EmbeddingRetriever(Known("另一个"), 6),
        EmbeddingRetriever(Known(), 6, context=2),
    ]
    assert len({str(one.identity()) for one in made}) == len(made)
