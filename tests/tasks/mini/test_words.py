"""What the mini world talks about and how: the tables themselves keep what is said of them."""

import re
from collections import Counter
from itertools import combinations

import pytest
from mini_chats import DOMAINS, pool

from f2rcli.tasks.mini.chats import Domain
from f2rcli.tasks.mini.pictures import things
from f2rcli.tasks.mini.words import LANGUAGES, Topic, kept_apart, phrases, query_phrases, topics
from f2rcli.tasks.overlap import words

WITHOUT_TOPIC = ("fill", "caption", "word", "smalltalk", "habit")
in_both_languages = pytest.mark.parametrize("language", LANGUAGES)
in_both_domains = pytest.mark.parametrize("domain", DOMAINS)


@in_both_languages
def test_thirty_two_topics_of_eight_words_and_four_that_are_asked(language: str) -> None:
    found = topics(language)
    assert (len(found), sum(topic.unseen for topic in found)) == (32, 6)
    assert {(len(topic.words), len(topic.asked)) for topic in found} == {(8, 4)}
    assert {topic.language for topic in found} == {language}


def test_both_languages_have_the_same_topics() -> None:
    english, chinese = ([(t.name, t.thing, t.unseen) for t in topics(lang)] for lang in LANGUAGES)
    assert english == chinese


def test_every_topic_has_a_thing_of_its_own_that_can_be_drawn() -> None:
    assert sorted(topic.thing for topic in topics("en")) == sorted(things())


@in_both_languages
def test_no_word_stands_in_two_places(language: str) -> None:
    """Neither in two topics, nor in what is said and what is asked."""
    count = Counter(word.lower() for t in topics(language) for word in (*t.words, *t.asked))
    assert [word for word, times in count.items() if times > 1] == []


def test_languages_are_written_in_their_own_script() -> None:
    chinese = re.compile("[\u4e00-\u9fff]")
    for language in LANGUAGES:
        for topic in topics(language):
            for word in (*topic.words, *topic.asked):
                assert bool(chinese.search(word)) == (language == "zh"), word


@in_both_domains
@in_both_languages
def test_patterns_have_their_slots(domain: Domain, language: str) -> None:
    table = phrases(domain, language)
    for pattern in table.say:
        slots = Counter(re.findall(r"\{.*?\}", pattern))
        assert slots in (Counter({"{w}": 1}), Counter({"{w}": 1, "{w2}": 1})), pattern
    for kind in WITHOUT_TOPIC:
        assert not any(brace in text for text in getattr(table, kind) for brace in "{}")


@in_both_languages
def test_query_patterns_have_their_slot(language: str) -> None:
    table = query_phrases(language)
    for pattern in (*table.about, *table.pictures):
        assert re.findall(r"\{.*?\}", pattern) == ["{q}"], pattern
    assert not set(table.about) & set(table.pictures)


@in_both_languages
def test_mini_wechat_has_patterns_and_habits_of_its_own(language: str) -> None:
    trained, other = phrases("mldr", language), phrases("wechat", language)
    for kind in ("say", "fill", "caption"):
        shared = set(getattr(trained, kind)) & set(getattr(other, kind))
        assert shared <= {""}  # a picture without a word is one everywhere
    assert (trained.word, trained.smalltalk, trained.habit) == ((), (), ("",))
    assert all((other.word, other.smalltalk))
    assert len(set(other.habit)) > 3


def names(text: str, word: str, language: str) -> bool:
    """Whether the word stands in the text as a whole."""
    if language == "zh":
        return word in text
    return f" {' '.join(words(word))} " in f" {' '.join(words(text))} "


@in_both_domains
@in_both_languages
def test_what_is_said_beside_a_picture_or_in_between_names_nothing(
    domain: Domain, language: str
) -> None:
    """So that pictures alone answer, and a filling line belongs to whatever was spoken of before."""
    table = phrases(domain, language)
    naming = [
        (text, word)
        for kind in WITHOUT_TOPIC
        for text in getattr(table, kind)
        for topic in pool(domain, language)
        for word in (*topic.words, *topic.asked)
        if names(text, word, language)
    ]
    assert naming == []


@pytest.mark.parametrize(("count", "asked"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3), (8, 4), (99, 4)])
def test_a_shortened_topic_has_half_as_many_words_that_are_asked(count: int, asked: int) -> None:
    topic = Topic("dog", "en", "dog", tuple("abcdefgh"), tuple("wxyz"))
    short = topic.shortened(count)
    assert short.words == tuple("abcdefgh")[:count]
    assert short.asked == tuple("wxyz")[:asked]
    assert (short.name, short.thing) == ("dog", "dog")


def test_about_every_fourth_pair_is_kept_apart() -> None:
    assert kept_apart("dog", "piano")  # 0 and 4
    assert kept_apart("cat", "sailing")  # 1 and 3
    assert not kept_apart("dog", "cat")
    pairs = list(combinations([topic.name for topic in topics("en")], 2))
    apart = [pair for pair in pairs if kept_apart(*pair)]
    assert 0.2 < len(apart) / len(pairs) < 0.3
    assert all(kept_apart(second, first) for first, second in apart)


def test_a_topic_that_is_not_in_the_table_meets_any() -> None:
    assert not any(kept_apart("invented", topic.name) for topic in topics("en"))
    assert not kept_apart("invented", "invented")
