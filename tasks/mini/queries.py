"""What is asked about a dialogue of the mini world, and which shares of the set a query counts to."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from f2rcli.tasks.mini.dialogues import Line
from f2rcli.tasks.mini.words import Topic, query_phrases
from f2rcli.tasks.overlap import content_words

Kind = Literal["overlap", "no-overlap", "picture-only", "nothing"]

# The kinds of query of eight dialogues in a row, shuffled for each eight: 20 queries, of which 6 use
# a word of their fragment, 7 do not, 4 are answered by pictures only and 3 match nothing.
DECK: tuple[tuple[Kind, ...], ...] = (
    ("no-overlap", "overlap"),
    ("no-overlap", "overlap", "picture-only"),
    ("no-overlap", "picture-only"),
    ("overlap", "nothing", "no-overlap"),
    ("picture-only", "overlap"),
    ("nothing", "no-overlap", "overlap"),
    ("picture-only", "nothing", "no-overlap"),
    ("overlap", "no-overlap"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and the topic it asks for, which the dialogue lacks if nothing matches."""

    text: str
    kind: Kind
    topic: Topic


def ask(rng: Random, kind: Kind, topic: Topic, lines: Sequence[Line]) -> Asked:
    """A query of that kind.

    One without overlap shares no content word with its fragment; that is tested on the finished
    words, because patterns bring words of their own. Where typing errors left no word of the topic
    whole, a query that should repeat one becomes one without overlap.
    """
    fragment = [line.text for line in lines if line.topic == topic.name]
    phrases = query_phrases(topic.language)
    drawn = kind == "picture-only" and rng.random() < 0.5
    patterns = phrases.pictures if drawn else phrases.about
    said = set().union(*map(content_words, fragment))
    words: Sequence[str] = topic.asked
    if kind == "overlap":  # whole words: a bridesmaid says nothing of the bride
        whole = [word for word in topic.words if content_words(word) <= said]
        words = [word for word in whole if any(word in text for text in fragment)]
        kind, words = ("overlap", words) if words else ("no-overlap", topic.asked)
    elif kind == "nothing" and rng.random() < 0.5:
        words = topic.words
    texts = [pattern.replace("{q}", word) for pattern in patterns for word in words]
    if kind in ("no-overlap", "picture-only"):
        texts = [text for text in texts if not content_words(text) & said] or texts
    return Asked(rng.choice(texts), kind, topic)
