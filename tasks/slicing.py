"""Long dialogues: cut into slices, each asked alone, and the answers put together again."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from f2rcli.tasks.answers import parse_loose
from f2rcli.tasks.predictions import Answer, prediction_line
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import UNANSWERED, Dialogue, Fragment, Request

MAX_TURNS = 100  # the release's threshold: a dialogue of over 100 turns is cut


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a request as a request of its own. `images[k]` is what its image k is called outside."""

    request: Request
    images: tuple[int, ...]


def slice_request(request: Request, max_turns: int | None = MAX_TURNS) -> list[Slice]:
    """Consecutive slices of equal size (± 1) of at most `max_turns`, without overlap.

    Utterance ids keep the dialogue's numbering, image ids restart at 0 in every slice (and ascend as
    they do in the dialogue), and a slice's gold is the gold within it. A dialogue that is short enough,
    or any if `max_turns` is None, is its own only slice, unchanged.
    """
    turns = len(request.dialogue.utterances)
    if max_turns is None or turns <= max_turns:
        return [Slice(request, tuple(image.id for image in request.dialogue.images))]
    parts = -(-turns // max_turns)
    bounds = [turns * part // parts for part in range(parts + 1)]
    return [_cut(request, part, *ends) for part, ends in enumerate(pairwise(bounds))]


def _cut(request: Request, part: int, first: int, end: int) -> Slice:
    dialogue, prompt = request.dialogue, request.prompt
    kept = dialogue.utterances[first:end]
    outside = tuple(sorted(image for utterance in kept for image in utterance.images))
    inside = {image: k for k, image in enumerate(outside)}
    by_id = {image.id: image for image in dialogue.images}
    sliced = Dialogue(
        f"{dialogue.id}_split_{part}",
        tuple(replace(u, images=tuple(inside[i] for i in u.images)) for u in kept),
        tuple(replace(by_id[image], id=k) for k, image in enumerate(outside)),
    )
    turns = tuple(
        tuple(inside[p] if isinstance(p, int) else p for p in turn) for turn in prompt.turns[first:end]
    )
    gold = request.gold and Fragment(
        request.gold.utterances & sliced.everything.utterances,
        frozenset(inside[i] for i in request.gold.images if i in inside),
    )
    return Slice(
        replace(
            request,
            id=f"{request.id}_split_{part}",
            dialogue=sliced,
            prompt=replace(prompt, turns=turns),
            gold=gold,
        ),
        outside,
    )


def merge_answers(answers: Iterable[Answer], dialogue: Dialogue) -> Fragment:
    """The union of slice answers in the dialogue's ids, read as loosely as the release reads them.

    Image ids that a slice does not have are dropped, as in the release.
    """
    merged = Fragment()
    for answer in answers:
        merged |= answer.to_dialogue(parse_loose(answer.response))
    return Fragment(merged.utterances, merged.images & dialogue.everything.images)


def merged_line(request: Request, answers: list[Answer], ours: dict[str, Any]) -> dict[str, Any]:
    """The prediction line of a sliced request; `ours` is its `f2r` key with the `failures` (and
    `unasked`, where a slice was not asked).

    The line keeps every slice's answer, so that scoring can judge each by itself.
    """
    unanswered = ours.get("unasked") or ours["failures"].keys() & set(UNANSWERED)
    merged = "" if unanswered else render_answer(merge_answers(answers, request.dialogue))
    slices = [{"response": a.response, "images": list(a.images or ())} for a in answers]
    return prediction_line(request, merged, {**ours, "slices": slices})
