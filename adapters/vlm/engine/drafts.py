"""What an answer will probably be, from how it begins: the form that is asked for, and guessed ids.

A draft is a proposal and no more. The model verifies it, so that its answer is the one that it would
have written token by token; a good draft only costs it fewer calls.
"""

import re
from collections.abc import Iterable
from typing import Any

from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Dialogue, Fragment

HEAD, MIDDLE, TAIL = re.split(r"(?<=\[)(?=\])", render_answer(Fragment()))
AHEAD = 5  # utterances that are guessed to be chosen one after another
LONGEST = 24  # tokens of a draft
LISTED = re.compile(r"(?:[0-9]{0,18}[, ])*[0-9]{0,18}")  # of an endless number Python makes no integer


def guess(text: str, dialogue: Dialogue) -> str:
    """What may follow an answer's first characters; empty where it is not of the form.

    Utterances are guessed to be chosen one after another, and a picture with its utterance.
    """
    if HEAD.startswith(text):
        return HEAD.removeprefix(text)
    utterances, closed, rest = text.removeprefix(HEAD).partition("]")
    if not text.startswith(HEAD) or not LISTED.fullmatch(utterances):
        return ""
    if not closed:
        return _more(utterances, (u.id for u in dialogue.utterances), AHEAD)
    chosen = {int(number) for number in re.findall("[0-9]+", utterances)}
    pictures = sorted(i for u in dialogue.utterances if u.id in chosen for i in u.images)
    wanted = f"{MIDDLE}{', '.join(map(str, pictures))}{TAIL}"
    rest = f"]{rest}"
    if wanted.startswith(rest):
        return wanted.removeprefix(rest)
    images, closed, end = rest.removeprefix(MIDDLE).partition("]")
    if not rest.startswith(MIDDLE) or not LISTED.fullmatch(images):
        return ""
    if closed:
        return TAIL.removeprefix(f"]{end}") if TAIL.startswith(f"]{end}") else ""
    return _more(images, (image.id for image in dialogue.images), 0)


def _more(begun: str, ids: Iterable[int], ahead: int) -> str:
    """How a list that begins so may go on: with the id that is begun, and the dialogue's next ones."""
    *before, last = begun.split(",")
    numbers = [int(one) for one in before if one.strip().isdigit()]
    later = [one for one in sorted(ids) if one > max(numbers, default=-1)]
    if last.strip():
        matching = [place for place, one in enumerate(later) if str(one).startswith(last.strip())]
        later = later[matching[0] :][: 1 + ahead] if matching else []
    else:
        later = later[:ahead] if numbers else []
    listed = ", ".join(map(str, numbers + later))
    return listed.removeprefix(begun) if listed.startswith(begun) else ""


class Drafts:
    """Drafts of one answer as tokens: `after` the tokens that there are.

    The end token that is proposed behind a whole answer is the one that chats are ended with.
    """

    def __init__(self, tokenizer: Any, dialogue: Dialogue, end: int) -> None:
        self.tokenizer, self.dialogue, self.end = tokenizer, dialogue, end
        self.expected: list[int] = []  # the answer as it was last guessed

    def after(self, tokens: list[int]) -> list[int]:
        if self.expected[: len(tokens)] != tokens or len(self.expected) == len(tokens):
            self.expected = self._guessed(tokens)
        return self.expected[len(tokens) :][:LONGEST]

    def _guessed(self, tokens: list[int]) -> list[int]:
        text = self.tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        more = guess(text, self.dialogue)
        whole = text + more
        if not more and not text.endswith(TAIL):
            return []
        expected: list[int] = self.tokenizer(whole, add_special_tokens=False)["input_ids"]
        if whole.endswith(TAIL):
            expected.append(self.end)
        return expected if expected[: len(tokens)] == tokens else []
