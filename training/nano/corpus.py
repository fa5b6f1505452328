"""What the base reads in its pre-training: chats of the mini world, easier and odder than the sets.

They are short at first and about few topics in few words, and grow. Some are about words that mean
nothing, so that the model learns to find a word again that it never saw; some begin at a later id, as
the slices of a long dialogue do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from f2rcli.tasks.mini.chats import Chat, make_chat
from f2rcli.tasks.mini.dialogues import Manner
from f2rcli.tasks.mini.pictures import draw, things
from f2rcli.tasks.mini.queries import Kind
from f2rcli.tasks.mini.words import LANGUAGES, Topic, topics
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Dialogue, Fragment, Image, Request
from f2rcli.training.nano.babble import babble, invented_word

PICTURES_A_THING = 150
LARGEST_ID = 159
# Short instructions of many wordings; the sets' own, longer one comes with fine-tuning.
PROMPTS = {
    "en": (
        "Find <|query_start|>{query}<|query_end|> in the chat.\n{dialogue}",
        "Which utterances and pictures are about <|query_start|>{query}<|query_end|>?\n{dialogue}",
        "<|query_start|>{query}<|query_end|>\n{dialogue}",
    ),
    "zh": (
        "在聊天中找出<|query_start|>{query}<|query_end|>。\n{dialogue}",
        "哪些发言和图片属于<|query_start|>{query}<|query_end|>？\n{dialogue}",
        "<|query_start|>{query}<|query_end|>\n{dialogue}",
    ),
}
SPEAKERS = tuple(
    {"user1": first, "user2": second}
    for first, second in (("User1", "User2"), ("Ann", "Ben"), ("小林", "阿梅"), ("A", "B"))
)  # a chat of one's own has names; the official sets have user1 and user2


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the pre-training: at most how many `steps`, over how many `topics` of how many
    `words`, how long a topic's `part` is and how `many` meet, chats a `batch`.

    `settled`: the line loss (losses.py) under which the next stage begins. `chain` and `images`: the
    weights of those losses. `rate`: a learning rate of its own, as a share of the largest. The rest are
    probabilities: of `invented` topics, of a query that `nothing` matches, of the sets' own longer
    prompt, of ids that begin later, of typing errors in a line, of positions with gaps, of a chat in
    patterns of `babble`, of two topics that are only `drawn`, their pictures mixed.
    """

    steps: int
    topics: int
    words: int
    part: tuple[int, int]
    many: tuple[int, int]
    batch: int
    invented: float = 0.0
    nothing: float = 0.0
    set_prompt: float = 0.0
    later_ids: float = 0.0
    typos: float = 0.0
    spread: float = 0.0
    babble: float = 0.0
    drawn: float = 0.0
    chain: float = 0.0
    images: float = 0.0
    rate: float = 0.0
    settled: float = 0.0


def save_pictures(folder: Path) -> None:
    """A pool of drawings of the topics that are not kept for mini-wechat."""
    for thing in seen_things():
        for i in range(PICTURES_A_THING):
            path = picture_file(folder, thing, i)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(thing, Random(f"pre-training {thing} {i}")).save(path)


def seen_things() -> list[str]:
    return [topic.thing for topic in topics("en") if not topic.unseen]


def picture_file(folder: Path, thing: str, number: int) -> Path:
    return folder / thing / f"{number}.png"


def thing_of(image: Image) -> str:
    assert image.file is not None
    return Path(image.file).parent.name


def requests(rng: Random, stage: Stage, pictures: Path) -> Iterator[Request]:
    """Endless requests of a stage; the queries of a chat come one after the other."""
    while True:
        language = rng.choice(LANGUAGES)
        known = [topic for topic in topics(language) if not topic.unseen][: stage.topics]
        pool = [topic.shortened(stage.words) for topic in known]
        kinds: list[Kind] = [rng.choice(["overlap", "no-overlap", "no-overlap", "picture-only"])]
        odd = [False]
        if rng.random() < stage.nothing:
            kinds.append("nothing")
        elif rng.random() < stage.invented:
            pool.append(invented(rng, language))
            kinds.append("overlap")
            odd.append(True)
        else:
            kinds.append("no-overlap")
        if stage.drawn and rng.random() < stage.drawn:
            kinds, odd = ["picture-only", "picture-only"], [False]
        manner = Manner(topics=stage.many, part=stage.part, typos=stage.typos)
        words = None
        if stage.babble and rng.random() < stage.babble:
            words = babble(rng, language)
            manner = replace(manner, filling=0.32, one_word=0.4, switching=0.55)
        chat = make_chat(rng, "mldr", pool, kinds, name="", unseen=odd, manner=manner, words=words)
        yield from _asked(rng, stage, chat, pictures)


def invented(rng: Random, language: str) -> Topic:
    """A topic of words that mean nothing, queried by those words; it is never drawn."""
    words = [invented_word(rng, language) for _ in range(3)]
    return Topic("invented", language, rng.choice(things()), tuple(words), tuple(words), unseen=True)


def _asked(rng: Random, stage: Stage, chat: Chat, pictures: Path) -> Iterator[Request]:
    seen = set(seen_things())
    images = tuple(
        replace(image, file=str(picture_file(pictures, thing, rng.randrange(PICTURES_A_THING))))
        for image, thing in zip(
            chat.dialogue.images,
            (thing if thing in seen else rng.choice(sorted(seen)) for thing in chat.things),
            strict=True,
        )
    )
    shift = rng.randint(1, 110) if rng.random() < stage.later_ids else 0
    shift = min(shift, LARGEST_ID - chat.dialogue.utterances[-1].id)
    names = rng.choice(SPEAKERS) if rng.random() < 0.2 else {}
    turns = tuple(
        replace(u, id=u.id + shift, speaker=names.get(u.speaker, u.speaker))
        for u in chat.dialogue.utterances
    )
    dialogue = Dialogue("", turns, images)
    for request in chat.requests():
        assert request.gold is not None
        gold = Fragment(frozenset(i + shift for i in request.gold.utterances), request.gold.images)
        if rng.random() < stage.set_prompt:
            template = PromptTemplate.by_language()
        else:
            template = PromptTemplate({"": rng.choice(PROMPTS[chat.language])})
        prompt = template.render(request.query.text, dialogue)
        yield replace(request, dialogue=dialogue, gold=gold, prompt=prompt)


def texts(count: int, seed: int) -> Iterator[str]:
    """Text for the tokenizer: chats over everything that is not kept for mini-wechat, and ids."""
    stage = Stage(0, 99, 99, (6, 13), (3, 3), 0, nothing=0.2, set_prompt=0.3, typos=0.01)
    stream = requests(Random(f"tokenizer {seed}"), stage, Path())
    for _ in range(count):
        request = next(stream)
        yield from ["user\nassistant\n", request.prompt.head, request.query.text]
        yield from (f" {u.speaker}: {u.text}\n" for u in request.dialogue.utterances)
    words = [w for topic in seen_topics() for w in (*topic.words, *topic.asked)]
    numbers = map(str, range(LARGEST_ID + 1))
    yield from [" " + word for word in words for _ in range(count // 4)]
    yield from [number for number in numbers for _ in range(count // 4)]


def seen_topics() -> list[Topic]:
    return [topic for language in LANGUAGES for topic in topics(language) if not topic.unseen]
