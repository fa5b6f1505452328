"""What the pre-training reads: nothing that is kept for the tests, and gold that fits."""

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from f2rcli.tasks.mini.words import LANGUAGES, kept_apart, phrases, topics
from f2rcli.tasks.types import Request
from f2rcli.training.nano.corpus import (
    LARGEST_ID,
    Stage,
    invented,
    requests,
    save_pictures,
    seen_things,
    thing_of,
)
from f2rcli.training.nano.pretrain import STAGES

PICTURES = Path("pictures")


def some(stage: Stage, count: int = 60) -> list[Request]:
    return list(islice(requests(Random("test"), stage, PICTURES), count))


def topics_in(request: Request) -> set[str]:
    """Topics one of whose words stands in the dialogue."""
    text = "\n".join(u.text for u in request.dialogue.utterances)
    return {
        topic.name
        for language in LANGUAGES
        for topic in topics(language)
        if any(word in text for word in topic.words)
    }


@pytest.mark.parametrize("stage", STAGES[4:], ids=str)
def test_nothing_of_mini_wechat_is_read(stage: Stage) -> None:
    unseen = {topic.name for topic in topics("en") if topic.unseen}
    things = set(seen_things())
    others = [p for language in LANGUAGES for p in phrases("wechat", language).smalltalk]
    for request in some(stage):
        named = topics_in(request)
        assert not named & unseen or stage.invented  # invented syllables may spell a word
        assert {thing_of(image) for image in request.dialogue.images} <= things
        assert not {u.text for u in request.dialogue.utterances} & set(others)


def test_topics_that_are_kept_apart_do_not_meet() -> None:
    names = {topic.thing: topic.name for topic in topics("en")}
    stage = Stage(1, 26, 8, (2, 10), (3, 5), 8)
    for request in some(stage, 200):
        drawn = {names[thing_of(image)] for image in request.dialogue.images}
        assert not any(kept_apart(a, b) for a in drawn for b in drawn if a != b)


def test_later_ids_shift_dialogue_and_gold_alike() -> None:
    stage = Stage(1, 26, 8, (1, 3), (3, 3), 8, later_ids=1.0)
    for request in some(stage):
        ids = [u.id for u in request.dialogue.utterances]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert ids[0] > 0
        assert request.gold is not None
        assert request.gold.utterances <= set(ids)
        assert request.gold.images <= {image.id for image in request.dialogue.images}


def test_the_longest_chats_have_no_id_beyond_the_largest() -> None:
    stage = Stage(1, 26, 8, (22, 22), (5, 5), 8, later_ids=1.0)
    last = [request.dialogue.utterances[-1].id for request in some(stage)]
    first = [request.dialogue.utterances[0].id for request in some(stage)]
    assert max(last) == LARGEST_ID
    assert min(first) > 0


def test_invented_topics_are_asked_for_by_words_of_the_dialogue() -> None:
    stage = Stage(1, 26, 8, (2, 3), (3, 3), 8, invented=1.0)
    odd = some(stage, 40)[1::2]
    for request in odd:
        assert request.gold is not None
        assert request.gold.utterances
        assert not request.gold.images or request.dialogue.images


def test_two_topics_that_are_only_drawn_mix_their_pictures() -> None:
    found = some(Stage(1, 26, 8, (2, 3), (3, 3), 8, drawn=1.0))
    assert all("picture-only" in request.shares for request in found)
    golds = [sorted(request.gold.images) for request in found if request.gold]
    assert all(len(images) >= 2 for images in golds)
    runs = [images[-1] - images[0] == len(images) - 1 for images in golds]
    assert runs.count(False) > len(runs) / 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_invented_words_are_several(language: str) -> None:
    assert len(set(invented(Random(1), language).words)) == 3


def test_pictures_are_saved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f2rcli.training.nano.corpus.PICTURES_A_THING", 2)
    save_pictures(tmp_path)
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == 2 * len(seen_things())
    before = [file.stat().st_mtime_ns for file in files]
    save_pictures(tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == before
