"""Sentence patterns that mean nothing: what is left to rely on is where a topic's words stand.

A backbone has read every way of saying something. The base reads 24 patterns a language in the sets'
training data, and without these it found barely half of the lines of chats with other patterns.
"""

from functools import cache
from random import Random

from f2rcli.tasks.mini.words import LANGUAGES, Phrases, phrases

SYLLABLES = "ba co di fu ga ho ki lu me no pra ri sto tu va wen xi yo zan ble dro kes mil tor"
HANZI = bytes(b for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFF) for b in (row, cell)).decode(
    "gb2312"
)  # the common characters of GB 2312
ENDINGS = ("!", "!?", "…", "？", "。", " :)", "😊", "🙈", "👍", "😭")
INVENTED = 0.35  # of the words of a pattern; the others are the training sets' own, in any order


def invented_word(rng: Random, language: str) -> str:
    """Two or three common characters, or two to four syllables."""
    if language == "zh":
        return "".join(rng.choice(HANZI) for _ in range(rng.randint(2, 3)))
    return "".join(rng.choice(SYLLABLES.split()) for _ in range(rng.randint(2, 4)))


def babble(rng: Random, language: str) -> Phrases:
    """Some patterns of every kind, for one chat."""
    return Phrases(
        say=tuple(_say(rng, language) for _ in range(12)),
        fill=tuple(_words(rng, language, 1, 5) for _ in range(10)),
        caption=(*(_words(rng, language, 1, 5) for _ in range(6)), "", ""),
        word=tuple(_words(rng, language, 1, 1) for _ in range(5)),
        habit=("",) * 6 + tuple(rng.choice(ENDINGS) for _ in range(2)) + (_tail(rng, language),),
    )


def _say(rng: Random, language: str) -> str:
    slots = ["{w}", "{w2}"] if rng.random() < 0.2 else ["{w}"]
    parts = [_words(rng, language, 0, 3)]
    for slot in slots:
        parts += [slot, _words(rng, language, 0, 3)]
    return _joined(parts, language)


def _words(rng: Random, language: str, least: int, most: int) -> str:
    known = _known(language)
    some = [
        invented_word(rng, language) if rng.random() < INVENTED else rng.choice(known)
        for _ in range(rng.randint(least, most))
    ]
    return _joined(some, language)


def _tail(rng: Random, language: str) -> str:
    return ("" if language == "zh" else " ") + invented_word(rng, language)


def _joined(parts: list[str], language: str) -> str:
    return ("" if language == "zh" else " ").join(filter(None, parts))


@cache
def _known(language: str) -> tuple[str, ...]:
    """The words (in Chinese: pairs of characters) of the training sets' own patterns."""
    assert language in LANGUAGES
    own = phrases("mldr", language)
    texts = [
        text.replace("{w2}", " ").replace("{w}", " ") for text in (*own.say, *own.fill, *own.caption)
    ]
    if language == "en":
        return tuple(sorted({word for text in texts for word in text.split()}))
    runs = [run for text in texts for run in text.split()]
    return tuple(sorted({run[i : i + 2] for run in runs for i in range(max(1, len(run) - 1))}))
