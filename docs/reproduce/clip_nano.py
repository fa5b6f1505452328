"""What the card of `clip-nano` says of it: `python clip_nano.py [ENCODER]` (a name or hf:PATH).

Recall@1 on the pictures of both mini sets, which no training has seen: a picture's nearest among all
words of its language that topics have (in 32 topics, as utterances or as queries use them), and a
word's nearest among all pictures of the set. Six of the topics are in mini-wechat alone and were never
trained on.
AUC: how often a gold fragment has the larger value than a random one of as many texts and pictures,
over all pairs of the two in a set; 50 % is chance. Beside it what coherence could say at best, by the
topics that the lines and pictures were made of.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np

from f2rcli.adapters.encoders.encoder import Encoder, find_encoder
from f2rcli.results.measuring import measured
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.mini.cache import SEED
from f2rcli.tasks.mini.chats import Chat
from f2rcli.tasks.mini.dialogues import TOPICAL
from f2rcli.tasks.mini.sets import SETS, chats
from f2rcli.tasks.mini.words import LANGUAGES, Topic, topics
from f2rcli.tasks.similarity import Embedded, Similarity, coherence, elements, random_like
from f2rcli.tasks.types import Fragment

BATCH = 64


def words(encoder: Encoder, language: str) -> tuple[list[Topic], np.ndarray]:
    """The topic of every word, and their vectors."""
    pairs = [(t, word) for t in topics(language) for word in (*t.words, *t.asked)]
    rows = [
        e.vector
        for i in range(0, len(pairs), BATCH)
        for e in encoder.texts([w for _, w in pairs[i : i + BATCH]])
    ]
    return [topic for topic, _ in pairs], np.array(rows)


def recall(encoder: Encoder, name: str) -> None:
    folder = load_task(name).path.parent
    known = {language: words(encoder, language) for language in LANGUAGES}
    shown = [
        (folder / image.path, thing, chat.language)
        for chat in chats(SETS[name], SEED)
        for image, thing in zip(chat.dialogue.images, chat.things, strict=True)
    ]
    files: list[Path] = [file for file, _, _ in shown]
    vectors = np.array(
        [e.vector for i in range(0, len(files), BATCH) for e in encoder.images(files[i : i + BATCH])]
    )
    things = np.array([thing for _, thing, _ in shown])
    unseen = {topic.thing for topic in topics("en") if topic.unseen}
    to_text: dict[bool, list[bool]] = {False: [], True: []}
    for (_, thing, language), vector in zip(shown, vectors, strict=True):
        named, rows = known[language]
        to_text[thing in unseen].append(named[int((rows @ vector).argmax())].thing == thing)
    to_picture: dict[bool, list[bool]] = {False: [], True: []}
    for named, rows in known.values():
        nearest = things[(rows @ vectors.T).argmax(-1)]
        for topic, found in zip(named, nearest, strict=True):
            if topic.thing in things:
                to_picture[topic.unseen].append(bool(found == topic.thing))
    for kind, right in (("picture → word", to_text), ("word → picture", to_picture)):
        for new, label in ((False, "seen topics"), (True, "unseen topics")):
            if right[new]:
                share = 100 * np.mean(right[new])
                print(f"| {name} | {kind}, {label} | recall@1 | {share:.1f} % | {len(right[new])} |")


def auc(encoder: str, name: str) -> None:
    """Two vectors are as alike as the encoder says; and, for a bound, as the truth is."""
    selection = measured(Selection.of(load_task(name), None, 0), encoder)
    assert selection.vectors is not None
    gold, drawn = [], []
    for request in selection.requests:
        embedded = Embedded(request.dialogue, request.query.text, selection.vectors)
        fragment = request.gold or Fragment()
        gold.append(embedded.similarity(fragment))
        drawn.append(embedded.similarity(embedded.at_random(fragment)))
    for metric in Similarity._fields:
        compare(name, metric, *([getattr(one, metric) for one in side] for side in (gold, drawn)))
    pairs = [pair for chat in chats(SETS[name], SEED) for pair in perfect(chat)]
    compare(name, "coherence by the truth", [one for one, _ in pairs], [one for _, one in pairs])


def perfect(chat: Chat) -> Iterator[tuple[float | None, float | None]]:
    """Coherence of each gold and each random fragment if what is of one topic had one vector, and what
    is of none (fillings, captions) had nothing in common with anything."""
    names = sorted({line.topic for line in chat.lines if line.topic})
    axes = np.eye(len(names) + len(chat.lines))
    said, shown = {}, {}
    for utterance, line in zip(chat.dialogue.utterances, chat.lines, strict=True):
        own = axes[len(names) + utterance.id]
        topic = axes[names.index(line.topic)] if line.topic else own
        if utterance.text.strip():
            said[utterance.id] = topic if line.kind == TOPICAL else own
        shown.update(dict.fromkeys(utterance.images, topic))
    for request in chat.requests():
        gold = request.gold or Fragment()
        drawn = random_like(gold, chat.dialogue, Random(f"{chat.dialogue.digest} {request.query.text}"))
        one, other = (coherence(elements(chat.dialogue, part, said, shown)) for part in (gold, drawn))
        yield one, other


def compare(name: str, what: str, gold: Sequence[float | None], drawn: Sequence[float | None]) -> None:
    right, wrong = (np.array([v for v in side if v is not None]) for side in (gold, drawn))
    count = len(right)
    value = np.mean((right[:, None] > wrong) + (right[:, None] == wrong) / 2)
    print(f"| {name} | {what}, gold against random | AUC | {100 * value:.1f} % | {count} |")
    means = f"{right.mean():.3f}, {wrong.mean():.3f}"
    print(f"| {name} | {what} | mean of gold, of random | {means} | {count} |")


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "clip-nano"
    encoder = find_encoder(name)
    print(f"{encoder.name}, digest {encoder.digest}\n")
    print("| set | what | measure | value | of |\n| --- | --- | --- | --- | --- |")
    for made in ("mini-mldr", "mini-wechat"):
        recall(encoder, made)
        auc(name, made)


if __name__ == "__main__":
    main()
