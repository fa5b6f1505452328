"""Words of two kinds of script, and what two texts have in common."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.tasks.overlap import STOPWORDS, content_words, shares_content_word, words

TEXTS = st.text(alphabet="abC dé12_-'！，。🐱小猫窝ねこ고양이", max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("?! 🐱…", []),
        ("Look, the PUPPY!", ["look", "the", "puppy"]),
        ("don't e-mail me_2 x2", ["don", "t", "e", "mail", "me", "2", "x2"]),
        ("café ÜBER", ["café", "über"]),
        ("猫", ["猫"]),
        ("养小猫", ["养", "小", "猫", "养小", "小猫"]),
        ("小猫，小狗", ["小", "猫", "小猫", "小", "狗", "小狗"]),  # no pair over the comma
        ("买iPhone手机", ["买", "iphone", "手", "机", "手机"]),
        ("ねこ고양", ["ね", "こ", "고", "양", "ねこ", "こ고", "고양"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("which lines are about the puppy", {"lines", "puppy"}),
        ("I will be there", set()),
        ("I'm not, don't", {"m", "don"}),
        ("猫", set()),  # one character is too short to tell
        ("小猫", {"小猫"}),
        ("关于小猫的", {"关于", "于小", "小猫", "猫的"}),
        ("a x 猫 2", {"x", "2"}),
    ],
)
def test_content_words(text: str, expected: set[str]) -> None:
    assert content_words(text) == expected


@pytest.mark.parametrize(
    ("query", "texts", "shared"),
    [
        ("the puppy", ["where is", "a Puppy!"], True),
        ("the puppy", ["puppies", "the dog"], False),
        ("the bride", ["the bridesmaid"], False),
        ("of the", ["of the"], False),
        ("关于小猫", ["我的小猫呢"], True),
        ("关于小猫", ["小狗和猫"], False),
        ("猫", ["猫"], False),
        ("puppy", [], False),
        ("", ["puppy"], False),
    ],
)
def test_what_is_shared(query: str, texts: list[str], shared: bool) -> None:
    assert shares_content_word(query, texts) == shared


@given(TEXTS)
def test_content_words_are_words(text: str) -> None:
    found = content_words(text)
    assert found <= set(words(text))
    assert not found & STOPWORDS


@given(TEXTS, TEXTS)
def test_what_is_shared_is_shared_both_ways(first: str, second: str) -> None:
    assert shares_content_word(first, [second]) == shares_content_word(second, [first])
    assert shares_content_word(first, [first]) == bool(content_words(first))


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_lines_are_looked_at_one_by_one(query: str, texts: list[str]) -> None:
    expected = any(shares_content_word(query, [text]) for text in texts)
    assert shares_content_word(query, texts) == expected
