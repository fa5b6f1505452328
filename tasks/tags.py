"""The special tags of the FFR format, and how the text of a record is taken apart and written.

One utterance a line:
`<|utt_id_start|>7<|utt_id_end|> user2: text <|img_id_start|>3<|img_id_end|><image>`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from f2rcli.tasks.types import Fragment, Prompt, Utterance, image_tag

IMAGE_MARK = "<image>"
TAGS = tuple(
    f"<|{name}_{side}|>"
    for name in ("query", "utt_id", "img_id", "utt_ids", "img_ids")
    for side in ("start", "end")
)
QUERY = re.compile(r"<\|query_start\|>(.*?)<\|query_end\|>", re.DOTALL)
UTTERANCE_ID = re.compile(r"<\|utt_id_start\|>([0-9]{1,18})<\|utt_id_end\|>")
IMAGE_ID = re.compile(r"<\|img_id_start\|>([0-9]{1,18})<\|img_id_end\|>")
_LINE_START = re.compile(rf"^[^\S\n]*{UTTERANCE_ID.pattern}", re.MULTILINE)
_TORN = re.compile(r"^[^\S\n]*<\|utt_id_start\|>(?![0-9]{1,18}<\|utt_id_end\|>).*", re.MULTILINE)
_PICTURE = re.compile(r"<\|img_id_start\|>(0|[1-9][0-9]{0,17})<\|img_id_end\|><image>")
_SPEAKER = re.compile(r"[^:：\n<]{0,100}[:：]")
_CONTROL = re.compile(r"<\|[^<>|\s]+\|>")
_TYPED_TAG = re.compile(r"<(?=\|(?:query|utt_ids?|img_ids?)_(?:start|end)\|>|image>)")


def escape(text: str) -> str:
    """`text` as it can stand in one line of a prompt: a tag that somebody typed is no longer one.

    A space after its `<` is the smallest change that a reader still recognises and that neither a
    tokenizer nor a scoring script takes for a tag.
    """
    return _TYPED_TAG.sub("< ", " ".join(text.split()))


def escape_control(text: str) -> str:
    """`text` in which nothing looks like a control token of any model (`<|im_end|>`), save our tags.

    For a model whose tokenizer is not known: somebody who types one must not end the prompt.
    """
    return _CONTROL.sub(lambda typed: typed[0] if typed[0] in TAGS else "< " + typed[0][1:], text)


def escape_pictures(text: str) -> str:
    """`text` in which no typed tag becomes a picture, whatever the next picture's number is."""
    return _PICTURE.sub(lambda typed: typed[0].replace(IMAGE_MARK, "< image>"), text)


def render_utterance(utterance: Utterance, gap: str = " ") -> tuple[str | int, ...]:
    """One line of a prompt of ours: its text, then (after `gap`) the images it carries."""
    line = (
        f"<|utt_id_start|>{utterance.id}<|utt_id_end|> "
        f"{escape(utterance.speaker)}: {escape(utterance.text)}"
        f"{gap if utterance.images and utterance.text else ''}"
    )
    return (line, *utterance.images, "\n")


def render_content(prompt: Prompt) -> str:
    """The user message in the official format, every picture written as its tag and `<image>`."""
    parts = [prompt.head, *(part for turn in prompt.turns for part in turn), prompt.tail]
    return "".join(part if isinstance(part, str) else image_tag(part) + IMAGE_MARK for part in parts)


def render_answer(fragment: Fragment) -> str:
    """The answer in the official format, ids in order."""
    utterances, images = sorted(fragment.utterances), sorted(fragment.images)
    return f"<|utt_ids_start|>{utterances}<|utt_ids_end|>;<|img_ids_start|>{images}<|img_ids_end|>"


@dataclass
class Content:
    """A recorded user message taken apart. `problems` says what does not add up, in words."""

    query: str | None
    utterances: tuple[Utterance, ...]
    images: int
    prompt: Prompt
    order: Sequence[int] = ()
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse_content(content: str, system: str | None = None, order: Sequence[int] = ()) -> Content:
    """Take a recorded user message apart without losing a character of it.

    Which tags are structure and which were typed by somebody: an utterance tag counts at the start
    of a line (the first one anywhere after the query); an image tag counts when `<image>` follows it
    and its id is the next one, since ids run from 0 in every record (or in the `order` that a
    prediction line of ours says). Everything else is text.
    """
    found = QUERY.search(content)
    starts = _utterance_tags(content)
    first = starts[0] if starts else None
    parsed = Content(
        query=found[1].strip() if found else None,
        utterances=(),
        images=0,
        prompt=Prompt(system, content[: first.start()] if first else content, ()),
        order=order,
    )
    utterances: list[Utterance] = []
    turns: list[tuple[str | int, ...]] = []
    ends = [start.start() for start in starts[1:]] + [len(content)]
    for start, end in zip(starts, ends, strict=False):
        turn, utterance = _parse_line(
            content[start.start() : end], int(start[1]), start.end() - start.start(), parsed
        )
        if utterances and utterance.id <= utterances[-1].id:
            parsed.problems.append(
                f"utterance ids out of order: {utterance.id} after {utterances[-1].id}"
            )
        elif utterances and utterance.id != utterances[-1].id + 1:
            parsed.warnings.append(f"utterance ids jump from {utterances[-1].id} to {utterance.id}")
        utterances.append(utterance)
        turns.append(turn)
    if not utterances:
        parsed.problems.append("no utterance tag (<|utt_id_start|>n<|utt_id_end|>)")
    if torn := _TORN.search(content):
        parsed.problems.append(f"a line begins with half an utterance tag: {torn[0].strip()[:60]}")
    parsed.warnings += [
        f"image tag {tag[1]} has no <image> behind it"
        for tag in IMAGE_ID.finditer(content, first.start() if first else 0)
        if not content.startswith(IMAGE_MARK, tag.end())
    ]
    parsed.utterances = tuple(utterances)
    parsed.prompt = Prompt(system, parsed.prompt.head, tuple(turns))
    return parsed


def dialogue_ids(content: str, order: Sequence[int] = ()) -> tuple[list[int], int]:
    """Utterance ids and the number of images of a recorded user message.

    What `parse_content` finds, several times faster: scoring needs no more.
    """
    starts = _utterance_tags(content)
    images = 0
    if starts:
        for picture in _PICTURE.finditer(content, starts[0].end()):
            images += int(picture[1]) == _next_image(images, order)
    return [int(start[1]) for start in starts], images


def _next_image(found: int, order: Sequence[int]) -> int:
    """The id of the picture that comes after so many others."""
    return order[found] if found < len(order) else found


def _utterance_tags(content: str) -> list[re.Match[str]]:
    """The tags that begin an utterance: the first after the query, then those that begin a line.

    (Where none follows the query, it was asked after the dialogue, by a prompt of somebody's own.)
    """
    query = QUERY.search(content)
    first = UTTERANCE_ID.search(content, query.end() if query else 0) or UTTERANCE_ID.search(content)
    return [first, *_LINE_START.finditer(content, first.end())] if first else []


def _parse_line(
    line: str, utterance_id: int, tag_length: int, parsed: Content
) -> tuple[tuple[str | int, ...], Utterance]:
    """One utterance's line as prompt parts and as an `Utterance`; counts images into `parsed`."""
    parts: list[str | int] = []
    carried: list[int] = []
    cursor = 0
    for picture in _PICTURE.finditer(line):
        image = _next_image(parsed.images, parsed.order)
        if int(picture[1]) != image:
            what = f"image tag {picture[1]} is not the next one ({image})"
            before = (_next_image(k, parsed.order) for k in range(parsed.images))
            if int(picture[1]) in before:  # one of the two was typed, and nobody knows which
                parsed.problems.append(f"utterance {utterance_id}: {what}, and was there before")
            else:
                parsed.warnings.append(f"utterance {utterance_id}: {what}; read as text")
            continue
        parts += [line[cursor : picture.start()], image]
        carried.append(image)
        parsed.images += 1
        cursor = picture.end()
    parts.append(line[cursor:])
    text = "".join(part for part in parts if isinstance(part, str))[tag_length:]
    speaker = _SPEAKER.match(text)
    if not speaker:
        parsed.warnings.append(f"utterance {utterance_id}: no speaker before a colon")
    spoken = text[speaker.end() :] if speaker else text
    name = speaker[0][:-1].strip() if speaker else ""
    return tuple(parts), Utterance(utterance_id, name, spoken.strip(), tuple(carried))
