"""Dialogues: single-topic parts joined and interleaved, so that every line's topic can be told."""

from dataclasses import replace
from itertools import groupby, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mini_chats import SEEDS

from f2rcli.tasks.mini.dialogues import (
    CAPTIONED,
    FILLING,
    MAX_PICTURES,
    TOPICAL,
    Line,
    Manner,
    make_dialogue,
    speakers,
)
from f2rcli.tasks.mini.words import LANGUAGES, Phrases, Topic, phrases, topics

PLAIN = Manner(topics=(3, 3), part=(6, 13))
MANY = settings(max_examples=60)
MANNERS = st.builds(
    Manner,
    topics=st.just((3, 3)),
    part=st.sampled_from([(1, 1), (1, 3), (6, 13), (9, 22)]),
    scattered=st.sampled_from([0.0, 0.5, 1.0]),
    filling=st.sampled_from([0.0, 0.3, 1.0]),
    pictured=st.sampled_from([0.0, 0.5, 1.0]),
    one_word=st.sampled_from([0.0, 0.4]),
    smalltalk=st.sampled_from([(0, 0), (0, 2), (1, 3)]),
)
DOMAINS = st.sampled_from(["mldr", "wechat"])
LETTERS = "abcdefgh"
SPELT = Topic("spelling", "en", "book", (LETTERS,), ("a word",))


def dialogue(
    seed: int, manner: Manner, drawn: int = 1, domain: str = "mldr", language: str = "en", many: int = 3
) -> tuple[list[Line], list[Topic], set[str]]:
    """The lines, the topics, and the names of those that are only drawn."""
    if domain == "mldr":  # has neither
        manner = replace(manner, one_word=0.0, smalltalk=(0, 0))
    rng = Random(seed)
    chosen = rng.sample(topics(language), many)
    in_pictures = [topic.name for topic in chosen[:drawn]]
    lines = make_dialogue(rng, manner, chosen, in_pictures, phrases(domain, language))
    return lines, chosen, set(in_pictures)


def stretches(lines: list[Line]) -> list[tuple[str | None, list[Line]]]:
    return [(topic, list(run)) for topic, run in groupby(lines, key=lambda line: line.topic)]


@given(SEEDS, MANNERS, st.integers(0, 2), DOMAINS, st.sampled_from(LANGUAGES))
@MANY
def test_every_stretch_begins_with_a_line_that_shows_its_topic(
    seed: int, manner: Manner, drawn: int, domain: str, language: str
) -> None:
    lines, chosen, _ = dialogue(seed, manner, drawn, domain, language)
    known = {topic.name: topic for topic in chosen}
    assert {line.topic for line in lines} - {None} == set(known)
    for name, stretch in stretches(lines):
        if name is not None:
            first, topic = stretch[0], known[name]
            named = any(word in first.text for word in topic.words)
            assert named if first.kind == TOPICAL else first.thing == topic.thing


@given(SEEDS, MANNERS, st.integers(0, 2), DOMAINS, st.sampled_from(LANGUAGES))
@MANY
def test_a_kind_of_line_is_what_it_is_called(
    seed: int, manner: Manner, drawn: int, domain: str, language: str
) -> None:
    lines, chosen, in_pictures = dialogue(seed, manner, drawn, domain, language)
    things = {topic.name: topic.thing for topic in chosen}
    for line in lines:
        assert line.thing in (None, things.get(str(line.topic)))
        assert line.kind in (TOPICAL, CAPTIONED, FILLING)
        if line.kind != TOPICAL:
            assert (line.thing is not None) == (line.kind == CAPTIONED)
        if line.topic in in_pictures:
            assert line.kind == CAPTIONED
    for name in in_pictures:
        assert 2 <= sum(line.topic == name for line in lines) <= 4


@given(SEEDS, MANNERS, st.integers(0, 2), st.integers(3, 6))
@MANY
def test_there_are_at_most_eight_pictures(seed: int, manner: Manner, drawn: int, many: int) -> None:
    lines, _, _ = dialogue(seed, manner, drawn, many=many)
    assert sum(line.thing is not None for line in lines) <= MAX_PICTURES == 8


@given(SEEDS, MANNERS)
@MANY
def test_parts_are_as_long_as_asked_and_fall_into_few_stretches(seed: int, manner: Manner) -> None:
    lines, chosen, in_pictures = dialogue(seed, manner, domain="wechat")
    runs = [name for name, _ in stretches(lines)]
    for topic in chosen:
        if topic.name not in in_pictures:
            part = [line for line in lines if line.topic == topic.name]
            assert manner.part[0] <= len(part) <= manner.part[1]
            assert 1 <= runs.count(topic.name) <= 4


@given(SEEDS, MANNERS)
@MANY
def test_a_dense_part_is_one_stretch(seed: int, manner: Manner) -> None:
    lines, chosen, in_pictures = dialogue(seed, replace(manner, scattered=0.0), domain="wechat")
    runs = [name for name, _ in stretches(lines)]
    assert all(runs.count(topic.name) == 1 for topic in chosen if topic.name not in in_pictures)


def test_pictures_of_what_is_only_drawn_stand_by_themselves() -> None:
    """However dense the other parts are."""
    apart = 0
    for seed in range(40):
        lines, _, drawn = dialogue(seed, replace(PLAIN, scattered=0.0))
        apart += sum(name in drawn for name, _ in stretches(lines)) > 1
    assert apart > 20  # else all of them came to stand side by side


def test_parts_are_dense_or_scattered() -> None:
    """Two topics of three are spoken of; of a scattered one two stretches may come to meet."""
    for scattered, least, most in ((0.0, 0, 0), (0.5, 50, 110), (1.0, 120, 160)):
        count = 0
        for seed in range(80):
            lines, chosen, drawn = dialogue(seed, replace(PLAIN, scattered=scattered))
            runs = [name for name, _ in stretches(lines)]
            count += sum(runs.count(topic.name) > 1 for topic in chosen if topic.name not in drawn)
        assert least <= count <= most


@given(SEEDS, st.sampled_from([(0, 0), (1, 1), (2, 3)]))
@MANY
def test_small_talk_belongs_to_no_topic(seed: int, chunks: tuple[int, int]) -> None:
    lines, _, _ = dialogue(seed, replace(PLAIN, smalltalk=chunks), domain="wechat")
    table = phrases("wechat", "en")
    talk = [line for line in lines if line.topic is None]
    assert chunks[0] <= len(talk) <= 3 * chunks[1]  # a chunk is of one to three lines
    for line in talk:
        assert (line.thing, line.kind) == (None, FILLING)
        assert any(line.text == said + habit for said in table.smalltalk for habit in table.habit)


def test_one_word_turns_are_of_the_other_speakers_alone() -> None:
    for one_word, expected in ((0.0, False), (1.0, True)):
        manner = replace(PLAIN, filling=1.0, one_word=one_word)
        lines, _, _ = dialogue(3, manner, domain="wechat")
        bare = {word + habit for p in [phrases("wechat", "en")] for word in p.word for habit in p.habit}
        said = [line.text for line in lines if line.kind == FILLING]
        assert said
        assert {text in bare for text in said} == {expected}


def slips(text: str) -> set[str]:
    """Everything that one exchange of neighbours or one lost letter makes of the text."""
    pairs = range(len(text) - 1)
    swapped = {text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in pairs}
    return swapped | {text[:i] + text[i + 1 :] for i in pairs}


@pytest.mark.parametrize("word", [LETTERS, "a b", "雪糕", "é?ü!"])
def test_a_typing_error_is_in_one_place(word: str) -> None:
    topic = replace(SPELT, words=(word,))
    table = Phrases(say=("{w}",), fill=("?!",), caption=("",))
    found = set()
    for seed in range(60):
        lines = make_dialogue(Random(seed), replace(PLAIN, typos=1.0), [topic], [], table)
        assert {line.text for line in lines if line.kind == CAPTIONED} <= {""}
        assert {line.text for line in lines if line.kind == FILLING} <= {"?!"}  # no letters to mistake
        found |= {line.text for line in lines if line.kind == TOPICAL}
    if word == LETTERS:
        assert found == slips(word)
    elif word == "雪糕":
        assert found == {"糕雪", "糕"}
    else:
        assert found == {word}  # no two letters side by side


def test_typing_errors_are_as_frequent_as_said() -> None:
    table = Phrases(say=("{w}",), fill=("?!",), caption=("",))
    for typos, least, most in ((0.0, 0, 0), (0.1, 0.05, 0.15), (1.0, 1, 1)):
        manner = replace(PLAIN, part=(100, 100), filling=0.0, pictured=0.0, typos=typos)
        lines = make_dialogue(Random(0), manner, [SPELT] * 3, [], table)
        wrong = sum(line.text != LETTERS for line in lines)
        assert least <= wrong / len(lines) <= most


def test_habits_stand_at_the_end_of_any_line() -> None:
    table = Phrases(say=("{w}",), fill=("?!",), caption=("da",), habit=("", "~", "😂"))
    lines = make_dialogue(Random(1), replace(PLAIN, pictured=1.0), [SPELT] * 3, [], table)
    clean = {TOPICAL: LETTERS, FILLING: "?!", CAPTIONED: "da"}
    habits = {(line.kind, line.text.removeprefix(clean[line.kind])) for line in lines}
    assert {habit for _, habit in habits} == {"", "~", "😂"}
    assert {kind for kind, habit in habits if habit} == {TOPICAL, FILLING, CAPTIONED}


@given(SEEDS, st.integers(0, 130), st.floats(0, 1))
def test_two_people_speak(seed: int, count: int, switching: float) -> None:
    names = speakers(Random(seed), replace(PLAIN, switching=switching), count)
    assert len(names) == count
    assert set(names) <= {"user1", "user2"}


def test_they_take_turns_as_often_as_said() -> None:
    for switching, least, most in ((0.0, 0, 0), (0.55, 500, 600), (1.0, 1000, 1000)):
        names = speakers(Random(5), replace(PLAIN, switching=switching), 1001)
        assert least <= sum(a != b for a, b in pairwise(names)) <= most
    assert {speakers(Random(seed), PLAIN, 1)[0] for seed in range(20)} == {"user1", "user2"}
