"""What the mini world's dialogues are about (topics.toml) and how they put it (phrases.toml)."""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Topic:
    """In one language: `words` are what utterances use, `asked` what only queries use."""

    name: str
    language: str
    thing: str
    words: tuple[str, ...]
    asked: tuple[str, ...]
    unseen: bool = False

    def shortened(self, count: int) -> "Topic":
        """With the first `count` words and half as many that are asked (at least one)."""
        return replace(self, words=self.words[:count], asked=self.asked[: max(1, count // 2)])


@dataclass(frozen=True, slots=True)
class Phrases:
    """Patterns of utterances in one language and one domain; see phrases.toml."""

    say: tuple[str, ...]
    fill: tuple[str, ...]
    caption: tuple[str, ...]
    word: tuple[str, ...] = ()
    smalltalk: tuple[str, ...] = ()
    habit: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class QueryPhrases:
    about: tuple[str, ...]
    pictures: tuple[str, ...]


@cache
def topics(language: str) -> tuple[Topic, ...]:
    return tuple(
        Topic(
            name,
            language,
            row["thing"],
            tuple(row[language]["words"]),
            tuple(row[language]["asked"]),
            row.get("unseen", False),
        )
        for name, row in _table("topics.toml").items()
    )


@cache
def phrases(domain: str, language: str) -> Phrases:
    """`domain` is `mldr` or `wechat`."""
    return Phrases(**_tuples(_table("phrases.toml")[domain][language]))


@cache
def query_phrases(language: str) -> QueryPhrases:
    return QueryPhrases(**_tuples(_table("phrases.toml")["query"][language]))


@cache
def kept_apart(first: str, second: str) -> bool:
    """Whether two topics meet in mini-wechat alone: about every fourth pair.

    By their places in topics.toml, so that the rule holds for training, validation and pre-training.
    """
    places = {name: place for place, name in enumerate(_table("topics.toml"))}
    return first in places and second in places and (places[first] + places[second]) % 4 == 0


@cache
def _table(name: str) -> dict[str, Any]:
    text = resources.files("f2rcli.tasks").joinpath("mini", name).read_text(encoding="utf-8")
    return tomllib.loads(text)


def _tuples(row: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(values) for key, values in row.items()}
