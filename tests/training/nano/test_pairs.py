"""What clip-nano is trained on: alike is what is of one topic, and nothing is mini-wechat's."""

from random import Random

from f2rcli.tasks.mini.pictures import SIDE
from f2rcli.tasks.mini.words import LANGUAGES, phrases, topics
from f2rcli.training.nano.pairs import INVENTED, NOTHING, draw_batch, texts

SEEN = [topic for topic in topics("en") if not topic.unseen]
BATCHES = [draw_batch(Random(f"{i}")) for i in range(12)]


def words(name: str) -> list[str]:
    return [
        w for lang in LANGUAGES for t in topics(lang) if t.name == name for w in (*t.words, *t.asked)
    ]


def test_a_batch_has_every_topic_in_words_and_pictures() -> None:
    for batch in BATCHES:
        assert set(batch.picture_topics) == set(range(len(SEEN)))
        assert set(batch.text_topics) == set(range(len(SEEN) + INVENTED)) | {NOTHING}
        assert all(batch.text_topics.count(i) >= 3 for i in range(len(SEEN)))
        assert {picture.size for picture in batch.pictures} == {(SIDE, SIDE)}
        assert len(batch.texts) == len(batch.text_topics)
        assert len(batch.pictures) == len(batch.picture_topics)


def test_texts_are_about_the_topic_they_are_said_to_be_about() -> None:
    said = [pair for batch in BATCHES for pair in zip(batch.texts, batch.text_topics, strict=True)]
    for number, topic in enumerate(SEEN):
        own = words(topic.name)
        about = [text for text, found in said if found == number]
        named = [text for text in about if any(word in text for word in own)]
        assert len(named) > 0.9 * len(about)  # a typing error may hit the word
    nothing = [text for text, found in said if found == NOTHING]
    said_of_anything = {t for lang in LANGUAGES for t in phrases("mldr", lang).fill}
    said_of_anything |= {t for lang in LANGUAGES for t in phrases("mldr", lang).caption}
    assert len(said_of_anything & set(nothing)) > 20
    assert sum(text in said_of_anything for text in nothing) > 0.9 * len(nothing)


def test_both_languages_and_queries_of_all_kinds_are_there() -> None:
    said = {text for batch in BATCHES for text in batch.texts}
    assert any("关于" in text for text in said)
    assert any(text.startswith("the part about ") for text in said)
    assert any(text.startswith("photos of ") for text in said)


def test_nothing_of_mini_wechat_is_in_it() -> None:
    said = [*texts(30, 1), *(text for batch in BATCHES for text in batch.texts)]
    unseen = [word for t in topics("en") if t.unseen for word in words(t.name)]
    assert unseen
    found = [text for text in said if any(word in text for word in unseen)]
    assert found == []
    for language in LANGUAGES:
        theirs = phrases("wechat", language)
        own = {*theirs.smalltalk, *theirs.word} - set(phrases("mldr", language).fill)
        assert own
        assert not own & set(said)


def test_batches_depend_on_the_seed_alone() -> None:
    again = draw_batch(Random("3"))
    assert again.texts == BATCHES[3].texts
    assert [p.tobytes() for p in again.pictures] == [p.tobytes() for p in BATCHES[3].pictures]
    assert again.texts != BATCHES[4].texts
