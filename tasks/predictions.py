"""Prediction files: reading them for scoring, and the lines that a run writes.

The authors' format: `response` is the model's text and `labels` the gold answer. The last assistant
message repeats the *model's* answer, so gold is never read from there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2rcli.tasks import tags
from f2rcli.tasks.answers import parse_published
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.similarity import Embedded
from f2rcli.tasks.types import FAILURE_KINDS, UNANSWERED, Fragment, Request


@dataclass(frozen=True, slots=True)
class Answer:
    """The text for one slice (or for a whole dialogue), and what its image ids are called outside.

    `images` maps a slice's image ids to the dialogue's; None where they are the same. An id that the
    slice lacks becomes one that the dialogue (`total` images) lacks.
    """

    response: str
    images: tuple[int, ...] | None = None
    total: int = 0

    def to_dialogue(self, fragment: Fragment) -> Fragment:
        if self.images is None:
            return fragment
        known = len(self.images)
        mapped = (self.images[i] if i < known else self.total + i for i in fragment.images)
        return Fragment(fragment.utterances, frozenset(mapped))


@dataclass(frozen=True, slots=True)
class Prediction:
    """One line, as far as scoring needs it.

    `largest_utterance` and `largest_image` are the largest ids tagged anywhere in the first user
    message (the release's universe); `universe` is what the dialogue really has. `embedded` is what
    relevance and coherence are measured on, where an encoder was there. `unasked`: its run was ended
    before it was asked, which is no failure.
    """

    id: str
    dialogue_id: str
    response: str
    gold: Fragment
    largest_utterance: int | None
    largest_image: int | None
    universe: Fragment
    answers: tuple[Answer, ...]
    failures: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    probe: str = ""
    embedded: Embedded | None = None
    unasked: bool = False

    @property
    def answered(self) -> bool:
        return not self.unasked and not set(self.failures) & set(UNANSWERED)

    @property
    def sliced(self) -> bool:
        """Whether `response` was merged from the answers to slices."""
        return self.answers[0].images is not None


def read_predictions(path: Path) -> Iterator[Prediction]:
    """Stream a prediction file. Raises InputError naming the line of the first unusable one."""
    number = -1
    for number, entry in enumerate(read_values(path)):
        try:
            yield parse_prediction(entry.value, str(number))
        except InputError as error:
            raise error.at(entry.where) from None
    if number < 0:
        raise InputError("no predictions in it", where=str(path))


def parse_prediction(line: Any, default_id: str) -> Prediction:
    """Raises InputError if the line lacks what scoring needs."""
    if not isinstance(line, dict):
        raise InputError("not a JSON object", fix="a prediction is an object with response, labels")
    response = _text(line, "response", "the model's answer; a failed call is an empty string")
    gold, readable = parse_published(_text(line, "labels", "the gold answer"))
    if not readable:
        form = tags.render_answer(Fragment(frozenset([3, 4])))
        raise InputError("labels is not an answer in the official form", fix=f"such as {form}")
    content = user_content(line)
    utterances, images = tags.dialogue_ids(content, image_order(line))
    universe = Fragment(frozenset(utterances), frozenset(range(images)))
    ours = line.get("f2r")
    ours = ours if isinstance(ours, dict) else {}
    return Prediction(
        id=name_of(line, default_id),
        dialogue_id=str(line.get("dialogue_id") or ""),
        response=response,
        gold=gold,
        largest_utterance=_largest(tags.UTTERANCE_ID.findall(content)),
        largest_image=_largest(tags.IMAGE_ID.findall(content)),
        universe=universe,
        answers=_answers(ours, response, images),
        failures=_failures(ours),
        shares=_shares(ours),
        probe=str(ours.get("probe") or ""),
        unasked=ours.get("unasked") is True,
    )


def contents_of(line: dict[str, Any], role: str) -> list[Any]:
    """Contents of a record's or a prediction's messages of one role, in order, whatever they are."""
    messages = line.get("messages")
    return [
        message.get("content")
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, dict) and message.get("role") == role
    ]


def user_content(line: dict[str, Any]) -> str:
    """Text of the first user message of a record or a prediction."""
    contents = contents_of(line, "user")
    if not contents:
        raise InputError("no user message in messages")
    if not isinstance(contents[0], str):
        raise InputError("the user message's content is not text")
    return contents[0]


def image_paths(line: dict[str, Any]) -> list[str]:
    """Paths of a prediction's images, which are objects in some files and plain strings in others."""
    images = line.get("images") or []
    if not isinstance(images, list):
        raise InputError("images is not a list")
    return [str(image.get("path") if isinstance(image, dict) else image) for image in images]


def name_of(line: dict[str, Any], default: str) -> str:
    """What a prediction is called: our request id, else its dialogue's id."""
    ours = line.get("f2r")
    request = ours.get("request") if isinstance(ours, dict) else None
    return str(request or line.get("dialogue_id") or default)


def image_order(line: dict[str, Any]) -> tuple[int, ...]:
    """Image ids in the order of the text where a line of ours says so; () where they ascend from 0."""
    ours = line.get("f2r")
    order = ours.get("image_order", []) if isinstance(ours, dict) else []
    known = isinstance(order, list) and all(type(image) is int for image in order)
    if not known or sorted(order) != list(range(len(order))):
        raise InputError("f2r.image_order is not what f2r writes")
    return tuple(order)


def _text(line: dict[str, Any], key: str, meaning: str) -> str:
    value = line.get(key)
    if not isinstance(value, str):
        found = "missing" if key not in line else "null" if value is None else "not text"
        raise InputError(f"{key} is {found}", fix=f"{key} must hold {meaning}")
    return value


def _largest(ids: list[str]) -> int | None:
    return max(map(int, ids), default=None)


def _answers(ours: dict[str, Any], response: str, images: int) -> tuple[Answer, ...]:
    slices = ours.get("slices")
    if not slices:
        return (Answer(response),)
    try:
        return tuple(
            Answer(str(part["response"] or ""), tuple(map(int, part["images"])), images)
            for part in slices
        )
    except (TypeError, KeyError, ValueError):
        raise InputError("f2r.slices is not what f2r writes") from None


def _failures(ours: dict[str, Any]) -> tuple[str, ...]:
    failures = ours.get("failures") or {}
    if not isinstance(failures, dict) or not set(failures) <= set(FAILURE_KINDS):
        raise InputError("f2r.failures is not what f2r writes")
    return tuple(kind for kind in failures if kind != "malformed")


def _shares(ours: dict[str, Any]) -> tuple[str, ...]:
    shares = ours.get("shares") or []
    if not isinstance(shares, list) or not all(isinstance(share, str) for share in shares):
        raise InputError("f2r.shares is not what f2r writes")
    return tuple(dict.fromkeys(shares))


def prediction_line(request: Request, response: str, ours: dict[str, Any]) -> dict[str, Any]:
    """A line in the authors' format with one key of ours, `f2r`. Raises ValueError without gold."""
    if request.gold is None:
        raise ValueError(f"request {request.id} has no gold")
    prompt = request.prompt
    about: dict[str, Any] = {"shares": list(request.shares)} if request.shares else {}
    if request.probe:
        about |= {"probe": request.probe, "origin": request.origin}
    order = [part for turn in prompt.turns for part in turn if isinstance(part, int)]
    if order != sorted(order):
        about["image_order"] = order
    system = [{"role": "system", "content": prompt.system}] if prompt.system is not None else []
    return {
        "response": response,
        "labels": tags.render_answer(request.gold),
        "messages": [
            *system,
            {"role": "user", "content": tags.render_content(prompt)},
            {"role": "assistant", "content": response},
        ],
        "images": [{"bytes": None, "path": image.path} for image in request.dialogue.images],
        "dialogue_id": request.dialogue.id,
        "f2r": {"request": request.id, "query": request.query.text, **about, **ours},
    }
