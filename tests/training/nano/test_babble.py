"""Patterns that mean nothing: topics' words stand in them, and nothing of mini-wechat does."""

from random import Random

import pytest

from f2rcli.tasks.mini.words import LANGUAGES, phrases
from f2rcli.training.nano.babble import babble


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_has_its_topics_word_and_no_other_line_has_one(language: str) -> None:
    for seed in range(50):
        made = babble(Random(seed), language)
        assert all(pattern.count("{w}") == 1 for pattern in made.say)
        assert not any("{" in text for text in (*made.fill, *made.caption, *made.word, *made.habit))
        assert all((*made.say, *made.fill, *made.word))
        assert "" in made.caption


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_chats_talk_alike_and_none_as_mini_wechat(language: str) -> None:
    theirs = phrases("wechat", language)
    kept = {*theirs.say, *theirs.habit} - {""}
    said = [babble(Random(seed), language) for seed in range(50)]
    for made in said:
        assert not {*made.say, *made.habit} & kept
    assert len({made.say for made in said}) == 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_seed_says_the_same_again(language: str) -> None:
    assert babble(Random(7), language) == babble(Random(7), language)
