"""The words of the task as frozen types."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypedDict

FAILURE_KINDS = ("error", "refused", "truncated", "malformed")
UNANSWERED = ("error", "refused")  # the kinds that leave a request without an answer
FailureKind = Literal["error", "refused", "truncated", "malformed"]


def digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON-able value, independent of key order and of where it is computed."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def image_tag(image_id: int) -> str:
    """How a prompt names a picture."""
    return f"<|img_id_start|>{image_id}<|img_id_end|>"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of a dialogue. `id` is its index in the record's `images` list.

    `path` is what the data file says; `file` is where that was found, once it was looked for (a probe
    may put another picture there, or never look).
    """

    id: int
    path: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn. `images` are the ids of the pictures it carries, in order."""

    id: int
    speaker: str
    text: str
    images: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, in the words of the person who looks for it."""

    text: str


@dataclass(frozen=True)
class Dialogue:
    """A chat in order. `id` is what the file calls it, which need not be unique (see `digest`)."""

    id: str
    utterances: tuple[Utterance, ...]
    images: tuple[Image, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Identity by content: turns and image paths, without the id."""
        turns = [[u.id, u.speaker, u.text, list(u.images)] for u in self.utterances]
        return digest([turns, [image.path for image in self.images]])

    @cached_property
    def everything(self) -> "Fragment":
        """The fragment that holds every utterance and image: the universe of the ids."""
        return Fragment(frozenset(u.id for u in self.utterances), frozenset(i.id for i in self.images))

    @cached_property
    def carrier(self) -> dict[int, int]:
        """Image id → id of the utterance that carries it."""
        return {image: u.id for u in self.utterances for image in u.images}


@dataclass(frozen=True, slots=True)
class Fragment:
    """A set of utterance ids and a set of image ids. Both may be empty: nothing matches."""

    utterances: frozenset[int] = frozenset()
    images: frozenset[int] = frozenset()

    def __or__(self, other: "Fragment") -> "Fragment":
        return Fragment(self.utterances | other.utterances, self.images | other.images)

    def __and__(self, other: "Fragment") -> "Fragment":
        return Fragment(self.utterances & other.utterances, self.images & other.images)

    def __sub__(self, other: "Fragment") -> "Fragment":
        return Fragment(self.utterances - other.utterances, self.images - other.images)

    @property
    def size(self) -> int:  # not __len__: an empty fragment is an answer, and must not be falsy
        return len(self.utterances) + len(self.images)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text a model is asked with, with its pictures in place.

    `turns` holds one tuple of parts an utterance, in dialogue order; `head` is everything before
    the first of them and `tail` everything after the last. A part is either text or an image id;
    an id stands for the image's tag and the picture itself. Keeping pictures apart from text is what
    makes a literal `<image>` typed in a chat harmless. Without `pictures` only the tags are read.
    """

    system: str | None
    head: str
    turns: tuple[tuple[str | int, ...], ...]
    tail: str = ""
    pictures: bool = True

    def parts(self) -> Iterator[str | int]:
        """Text and image ids in the order in which a model reads them; no two texts in a row."""
        text = self.head
        for part in (part for turn in self.turns for part in turn):
            if isinstance(part, str):
                text += part
            elif not self.pictures:
                text += image_tag(part)
            else:
                yield text
                yield part
                text = ""
        yield text + self.tail


@dataclass(frozen=True)
class Request:
    """One question: a dialogue and a query. `gold` is absent where nobody knows the answer.

    `id` is unique within a dataset; `where` names the file and record it was read from; `shares` are
    the parts of the dataset that it counts to, in the dataset's own words (`zh`, `no-overlap`).
    A request that was changed by a `probe` (its name) has in `origin` the digest that it had before.
    """

    id: str
    dialogue: Dialogue
    query: Query
    prompt: Prompt
    gold: Fragment | None = None
    where: str = ""
    shares: tuple[str, ...] = ()
    probe: str = ""
    origin: str = ""

    @cached_property
    def digest(self) -> str:
        """Identity by content: dialogue, query and gold, whatever the prompt."""
        gold = self.gold and [sorted(self.gold.utterances), sorted(self.gold.images)]
        return digest([self.dialogue.digest, self.query.text, gold])

    @property
    def prompt_digest(self) -> str:
        return digest([self.prompt.system, list(self.prompt.parts())])

    def without_gold(self) -> "Request":
        """The same request as a retriever may see it."""
        return replace(self, gold=None)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no usable answer (`truncated` is the one kind that may come with an answer)."""

    kind: FailureKind
    message: str = ""


class TokenLogprob(TypedDict):
    """A token that was generated, and the natural logarithm of its probability."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a retriever gave for one request: the answer's text, or a failure.

    Raises nothing and parses nothing: whether `text` is well formed is for the protocols to say.
    Token counts are of the request as the model saw it (pictures included); `seconds` is wall time,
    shared evenly over a batch. `logprobs`, where they were asked for, are those of every token that was
    generated, the end token included, in the model's own distribution (docs/curriculum.md).
    """

    request: str
    text: str | None = None
    failure: Failure | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    logprobs: list[TokenLogprob] | None = None

    @property
    def failed(self) -> bool:
        """Whether no answer came, so that it is worth asking again."""
        return self.failure is not None and self.failure.kind == "error"
