"""What clip-nano is trained on: texts and pictures of the mini world, and which are of one topic.

Only topics, sentences and drawings that are not kept for mini-wechat.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import PIL.Image

from f2rcli.tasks.mini.dialogues import FILLING, Manner, make_dialogue
from f2rcli.tasks.mini.pictures import draw
from f2rcli.tasks.mini.queries import Kind, ask
from f2rcli.tasks.mini.words import LANGUAGES, Topic, phrases, topics
from f2rcli.training.nano.corpus import invented

NOTHING = -1  # in place of a topic's number: what is about none ("haha nice", "look at this")
INVENTED = 4  # topics of a batch that have one word, which means nothing: alike is what repeats it
PICTURES = 2  # of each topic in a batch
QUERIES: tuple[Kind, ...] = ("overlap", "no-overlap", "picture-only")
MANNER = Manner(topics=(1, 1), part=(4, 4), pictured=0.0, typos=0.05)


@dataclass
class Batch:
    """Texts, and pictures, each with the number of its topic."""

    texts: list[str] = field(default_factory=list)
    text_topics: list[int] = field(default_factory=list)
    pictures: list[PIL.Image.Image] = field(default_factory=list)
    picture_topics: list[int] = field(default_factory=list)

    def say(self, text: str, topic: int) -> None:
        self.texts.append(text)
        self.text_topics.append(topic)


def draw_batch(rng: Random) -> Batch:
    """Every topic that training may see, in one of its languages, and some invented ones."""
    batch = Batch()
    seen = zip(*(topics(language) for language in LANGUAGES), strict=True)
    chosen = [rng.choice(same) for same in seen if not same[0].unseen]
    for number, topic in enumerate(chosen):
        _speak(rng, batch, topic, number)
        for _ in range(PICTURES):
            batch.pictures.append(draw(topic.thing, rng))
            batch.picture_topics.append(number)
    for number in range(len(chosen), len(chosen) + INVENTED):
        _speak(rng, batch, invented(rng, rng.choice(LANGUAGES)).shortened(1), number)
    for language in LANGUAGES:
        captions = [caption for caption in phrases("mldr", language).caption if caption]
        batch.say(rng.choice(captions), NOTHING)
    return batch


def _speak(rng: Random, batch: Batch, topic: Topic, number: int) -> None:
    """Some lines about the topic, and two queries for it."""
    lines = make_dialogue(rng, MANNER, [topic], [], phrases("mldr", topic.language))
    for line in lines:
        batch.say(line.text, NOTHING if line.kind == FILLING else number)
    for kind in rng.sample(QUERIES, 2):
        batch.say(ask(rng, kind, topic, lines).text, number)


def texts(batches: int, seed: int) -> Iterator[str]:
    """Text for the tokenizer."""
    for number in range(batches):
        yield from draw_batch(Random(f"clip-nano tokenizer {seed} {number}")).texts
