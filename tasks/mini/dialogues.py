"""Dialogues of the mini world: short single-topic chats, made first, then joined and interleaved."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from f2rcli.tasks.mini.words import Phrases, Topic

MAX_PICTURES = 8
TOPICAL, CAPTIONED, FILLING = "topical", "captioned", "filling"


@dataclass(frozen=True, slots=True)
class Line:
    """A turn before it has a number. `topic` is None for small talk; `thing` is what a picture shows."""

    topic: str | None
    text: str
    thing: str | None = None
    kind: str = TOPICAL


@dataclass(frozen=True, slots=True)
class Manner:
    """How a set's dialogues are made. Ranges are inclusive, the rest are probabilities."""

    topics: tuple[int, int]
    part: tuple[int, int]
    scattered: float = 0.5
    filling: float = 0.26
    pictured: float = 0.5
    typos: float = 0.0
    one_word: float = 0.0
    smalltalk: tuple[int, int] = (0, 0)
    switching: float = 0.8


def make_dialogue(
    rng: Random, manner: Manner, chosen: Sequence[Topic], in_pictures: Sequence[str], phrases: Phrases
) -> list[Line]:
    """The lines of one dialogue over the chosen topics, those named in `in_pictures` only drawn.

    A filling line belongs to whatever topic was spoken of before it, so every stretch of a part
    begins with a line that shows its topic by itself.
    """
    parts: list[list[list[Line]]] = []
    left = MAX_PICTURES
    for topic in sorted(chosen, key=lambda topic: topic.name not in in_pictures):
        if topic.name in in_pictures:
            part = _drawn_part(rng, topic, phrases)
            parts.append([[line] for line in part])
        else:
            part = _spoken_part(rng, manner, topic, phrases, left)
            parts.append(_stretches(rng, part) if rng.random() < manner.scattered else [part])
        left -= sum(line.thing is not None for line in part)
    if manner.smalltalk[1]:
        count = rng.randint(*manner.smalltalk)
        parts.append([_chatter(rng, phrases) for _ in range(count)])
    return [_noisy(rng, manner, line, phrases) for line in _interleave(rng, parts)]


def _spoken_part(
    rng: Random, manner: Manner, topic: Topic, phrases: Phrases, pictures_left: int
) -> list[Line]:
    size = rng.randint(*manner.part)
    pictures = min(pictures_left, rng.randint(0, 2) if rng.random() < manner.pictured else 0)
    at = {rng.randint(1, size - 1) for _ in range(pictures)} if size > 1 else set()
    return [_spoken_line(rng, manner, topic, phrases, i == 0, i in at) for i in range(size)]


def _spoken_line(
    rng: Random, manner: Manner, topic: Topic, phrases: Phrases, first: bool, pictured: bool
) -> Line:
    if pictured and rng.random() < 0.6:
        return Line(topic.name, rng.choice(phrases.caption), topic.thing, CAPTIONED)
    if not (first or pictured) and rng.random() < manner.filling:
        words = phrases.word if rng.random() < manner.one_word else phrases.fill
        return Line(topic.name, rng.choice(words), None, FILLING)
    word, other = rng.sample(topic.words, 2) if len(topic.words) > 1 else topic.words * 2
    text = rng.choice(phrases.say).replace("{w2}", other).replace("{w}", word)
    return Line(topic.name, text, topic.thing if pictured else None)


def _drawn_part(rng: Random, topic: Topic, phrases: Phrases) -> list[Line]:
    size = rng.randint(2, 4)
    return [Line(topic.name, rng.choice(phrases.caption), topic.thing, CAPTIONED) for _ in range(size)]


def _chatter(rng: Random, phrases: Phrases) -> list[Line]:
    return [Line(None, rng.choice(phrases.smalltalk), None, FILLING) for _ in range(rng.randint(1, 3))]


def _stretches(rng: Random, part: list[Line]) -> list[list[Line]]:
    """The part cut into two to four stretches, each beginning with a line that shows its topic."""
    places = [i for i, line in enumerate(part) if i and line.kind != FILLING]
    count = min(len(places), rng.randint(1, 3))
    cuts = [0, *sorted(rng.sample(places, count)), len(part)]
    return [part[begin:end] for begin, end in pairwise(cuts)]


def _interleave(rng: Random, parts: list[list[list[Line]]]) -> list[Line]:
    """All stretches in one row, each part's own in their order."""
    owners = [i for i, part in enumerate(parts) for _ in part]
    rng.shuffle(owners)
    streams = [iter(part) for part in parts]
    return [line for owner in owners for line in next(streams[owner])]


def _noisy(rng: Random, manner: Manner, line: Line, phrases: Phrases) -> Line:
    text = line.text
    if rng.random() < manner.typos:
        text = _mistyped(rng, text)
    if text:
        text += rng.choice(phrases.habit)
    return Line(line.topic, text, line.thing, line.kind)


def _mistyped(rng: Random, text: str) -> str:
    """Two neighbouring letters exchanged, or one left out."""
    places = [i for i in range(len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    return text[:i] + rng.choice([text[i + 1] + text[i], text[i + 1]]) + text[i + 2 :]


def speakers(rng: Random, manner: Manner, count: int) -> list[str]:
    """Who says each line: `user1` or `user2`."""
    current = rng.randint(1, 2)
    names = []
    for _ in range(count):
        names.append(f"user{current}")
        if rng.random() < manner.switching:
            current = 3 - current
    return names
