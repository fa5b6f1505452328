"""One chat of the mini world with its queries, as requests in the official form."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from f2rcli.tasks.mini.dialogues import Line, Manner, make_dialogue, speakers
from f2rcli.tasks.mini.queries import Asked, Kind, ask
from f2rcli.tasks.mini.words import Phrases, Topic, kept_apart, phrases
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.scoring import SYNTHETIC
from f2rcli.tasks.types import Dialogue, Fragment, Image, Query, Request, Utterance

Domain = Literal["mldr", "wechat"]
MANNERS: dict[Domain, Manner] = {
    "mldr": Manner(topics=(3, 3), part=(6, 13), typos=0.01),
    "wechat": Manner(
        topics=(4, 6),
        part=(9, 22),
        scattered=0.6,
        filling=0.32,
        typos=0.06,
        one_word=0.4,
        smalltalk=(1, 3),
        switching=0.55,
    ),
}


@dataclass(frozen=True, slots=True)
class Chat:
    """`things` are what the pictures show, in order."""

    dialogue: Dialogue
    things: tuple[str, ...]
    lines: tuple[Line, ...]
    asked: tuple[Asked, ...]
    language: str

    def requests(self) -> list[Request]:
        """One request a query, asked with our own prompt; they have no ids yet."""
        template = PromptTemplate.by_language()
        return [
            Request(
                "",
                self.dialogue,
                Query(asked.text),
                template.render(asked.text, self.dialogue),
                self.fragment(asked.topic.name),
                shares=self._shares(asked),
            )
            for asked in self.asked
        ]

    def fragment(self, topic: str) -> Fragment:
        """Every line about the topic and every picture in them; empty if there is none."""
        ids = frozenset(u.id for u in self.dialogue.utterances if self.lines[u.id].topic == topic)
        images = frozenset(i for u in self.dialogue.utterances if u.id in ids for i in u.images)
        return Fragment(ids, images)

    def _shares(self, asked: Asked) -> tuple[str, ...]:
        unseen = ["unseen-topic"] if asked.topic.unseen else []
        return (SYNTHETIC, self.language, asked.kind, *unseen)


def make_chat(
    rng: Random,
    domain: Domain,
    pool: Sequence[Topic],
    kinds: Sequence[Kind],
    *,
    name: str,
    unseen: Sequence[bool] = (),
    manner: Manner | None = None,
    words: Phrases | None = None,
) -> Chat:
    """A chat over topics of the pool with one query of each kind.

    `unseen` says which of the queries ask for topics that no training set has; `manner` and `words`
    replace the domain's own (pre-training begins with shorter dialogues and knows more patterns).
    """
    manner = manner or MANNERS[domain]
    unseen = [*unseen, *[False] * (len(kinds) - len(unseen))]
    topics, subjects = _choose(rng, domain, manner, pool, kinds, unseen)
    words = words or phrases(domain, pool[0].language)
    in_pictures = [s.name for s, kind in zip(subjects, kinds, strict=True) if kind == "picture-only"]
    lines = make_dialogue(rng, manner, topics, in_pictures, words)
    asked = tuple(ask(rng, kind, s, lines) for kind, s in zip(kinds, subjects, strict=True))
    utterances: list[Utterance] = []
    things: list[str] = []
    for i, (line, speaker) in enumerate(zip(lines, speakers(rng, manner, len(lines)), strict=True)):
        images = (len(things),) if line.thing else ()
        things += [line.thing] if line.thing else []
        utterances.append(Utterance(i, speaker, line.text, images))
    pictures = tuple(Image(i, f"images/{name}/{i}.png") for i in range(len(things)))
    dialogue = Dialogue(name, tuple(utterances), pictures)
    return Chat(dialogue, tuple(things), tuple(lines), asked, pool[0].language)


def _choose(
    rng: Random,
    domain: Domain,
    manner: Manner,
    pool: Sequence[Topic],
    kinds: Sequence[Kind],
    unseen: Sequence[bool],
) -> tuple[list[Topic], list[Topic]]:
    """The dialogue's topics, and each query's: different ones, of which `nothing`'s are not there."""
    known, new = [t for t in pool if not t.unseen], [t for t in pool if t.unseen]
    while True:
        count = rng.randint(*manner.topics)
        strange = sum(unseen)
        picked = rng.sample(known, count - strange) + (rng.sample(new, strange) if strange else [])
        apart = any(kept_apart(a.name, b.name) for a in picked for b in picked if a is not b)
        if apart == (domain == "wechat"):
            break
    seen_here, new_here = [t for t in picked if not t.unseen], [t for t in picked if t.unseen]
    absent = [t for t in known if t not in picked]
    rng.shuffle(seen_here)
    rng.shuffle(absent)
    subjects = [
        absent.pop() if kind == "nothing" else new_here.pop() if strange else seen_here.pop()
        for kind, strange in zip(kinds, unseen, strict=True)
    ]
    rng.shuffle(picked)
    return picked, subjects
