"""Queries: of the kind that was asked for, judged on the finished texts."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mini_chats import CHATS, DOMAINS, SEEDS, chat, said

from f2rcli.tasks.mini.chats import Chat
from f2rcli.tasks.mini.dialogues import CAPTIONED, Line
from f2rcli.tasks.mini.queries import DECK, Asked, ask
from f2rcli.tasks.mini.words import LANGUAGES, Topic, query_phrases, topics
from f2rcli.tasks.overlap import shares_content_word
from f2rcli.tasks.types import Fragment

MANY = settings(max_examples=80)
TOPICS = {topic.name: topic for topic in topics("en")}
DOG = TOPICS["dog"]


def of_kind(chat: Chat, *kinds: str) -> list[Asked]:
    return [asked for asked in chat.asked if asked.kind in kinds]


def test_a_deck_is_eight_dialogues_with_twenty_queries() -> None:
    kinds = Counter(kind for row in DECK for kind in row)
    assert kinds == {"no-overlap": 7, "overlap": 6, "picture-only": 4, "nothing": 3}
    assert len(DECK) == 8
    assert min(map(len, DECK)) == 2


@given(CHATS)
@MANY
def test_every_query_asks_for_a_topic_of_its_own(made: Chat) -> None:
    assert tuple(asked.kind for asked in made.asked) in DECK
    assert len({asked.topic.name for asked in made.asked}) == len(made.asked)
    assert {asked.topic.language for asked in made.asked} == {made.language}


@given(CHATS)
@MANY
def test_a_query_without_overlap_shares_no_word_with_its_fragment(made: Chat) -> None:
    for asked in of_kind(made, "no-overlap", "picture-only"):
        texts = said(made, asked.topic)
        assert texts
        assert not shares_content_word(asked.text, texts), asked


@given(CHATS)
@MANY
def test_a_query_with_overlap_repeats_a_word_of_its_fragment(made: Chat) -> None:
    for asked in of_kind(made, "overlap"):
        texts = said(made, asked.topic)
        assert any(word in asked.text and word in "\n".join(texts) for word in asked.topic.words)
        assert shares_content_word(asked.text, texts), asked


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("wedding", [Line("wedding", "is the bridesmaid still a problem for you?")]),
        ("noodles", [Line("noodles", "here is a photo", "noodle_bowl", CAPTIONED)]),
    ],
)
def test_a_part_of_another_word_is_no_overlap(name: str, lines: list[Line]) -> None:
    for seed in range(20):
        asked = ask(Random(seed), "overlap", TOPICS[name], lines)
        shared = shares_content_word(asked.text, [line.text for line in lines])
        assert shared == (asked.kind == "overlap"), asked


@given(CHATS)
@MANY
def test_a_query_that_matches_nothing_asks_for_what_is_not_there(made: Chat) -> None:
    for asked in of_kind(made, "nothing"):
        assert made.fragment(asked.topic.name) == Fragment()
        assert all(line.topic != asked.topic.name for line in made.lines)
        assert asked.topic.thing not in made.things


@given(CHATS)
@MANY
def test_what_is_answered_by_pictures_is_said_nowhere(made: Chat) -> None:
    for asked in of_kind(made, "picture-only"):
        lines = [line for line in made.lines if line.topic == asked.topic.name]
        assert 2 <= len(lines) <= 4
        assert all((line.kind, line.thing) == (CAPTIONED, asked.topic.thing) for line in lines)
        assert made.things.count(asked.topic.thing) == len(lines)


def texts_of(patterns: tuple[str, ...], words: tuple[str, ...]) -> set[str]:
    return {pattern.replace("{q}", word) for pattern in patterns for word in words}


@given(CHATS)
@MANY
def test_queries_are_put_as_the_tables_say(made: Chat) -> None:
    table = query_phrases(made.language)
    for asked in made.asked:
        patterns = table.about + (table.pictures if asked.kind == "picture-only" else ())
        words = {
            "overlap": asked.topic.words,
            "nothing": asked.topic.words + asked.topic.asked,
        }.get(asked.kind, asked.topic.asked)
        assert asked.text in texts_of(patterns, words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_way_of_asking_is_used(language: str) -> None:
    topic, table = topics(language)[0], query_phrases(language)
    line = Line(topic.name, "?".join(topic.words))
    drawn = Line(topic.name, "", topic.thing, CAPTIONED)
    for kind, lines, expected in (
        ("no-overlap", [line], texts_of(table.about, topic.asked)),
        ("overlap", [line], texts_of(table.about, topic.words)),
        ("picture-only", [drawn], texts_of(table.about + table.pictures, topic.asked)),
        ("nothing", [], texts_of(table.about, topic.words + topic.asked)),
    ):
        found = {ask(Random(seed), kind, topic, lines).text for seed in range(900)}
        assert found == expected


def test_words_that_a_pattern_brings_count_too() -> None:
    """ "the long commute" is no query without overlap where somebody read a long article."""
    train = TOPICS["train"]
    lines = [Line("train", "I read a long article on the railway")]
    found = {ask(Random(seed), "no-overlap", train, lines).text for seed in range(300)}
    assert found == texts_of(query_phrases("en").about, tuple(w for w in train.asked if "long" not in w))


def test_where_no_word_was_spelt_right_a_query_cannot_repeat_one() -> None:
    lines = [Line("dog", "the pupppy agian"), Line("cat", "the leash and the kennel")]
    asked = ask(Random(0), "overlap", DOG, lines)
    assert asked.kind == "no-overlap"
    assert any(word in asked.text for word in DOG.asked)
    whole = [*lines, Line("dog", "the leash")]
    assert {ask(Random(seed), "overlap", DOG, whole).kind for seed in range(9)} == {"overlap"}
    assert all("leash" in ask(Random(seed), "overlap", DOG, whole).text for seed in range(9))


@given(SEEDS, st.sampled_from(DOMAINS), st.sampled_from(LANGUAGES))
@settings(max_examples=25)
def test_a_seed_asks_the_same_again(seed: int, domain: str, language: str) -> None:
    assert chat(seed, domain, language).asked == chat(seed, domain, language).asked


def test_topics_of_few_words_can_be_asked_for() -> None:
    """As in pre-training, where the vocabulary grows."""
    short: Topic = DOG.shortened(1)
    assert short.words == ("puppy",)
    line = Line("dog", "the puppy")
    asked = {ask(Random(seed), "no-overlap", short, [line]).text for seed in range(99)}
    assert asked == texts_of(query_phrases("en").about, ("our canine companion",))
