"""Merging slice predictions of any tool, whose slices this package need not have made."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2rcli.tasks.datasets import Task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.formats import parse
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.logprobs import read_logprobs, with_logprobs
from f2rcli.tasks.predictions import Answer, Prediction, parse_prediction
from f2rcli.tasks.slicing import merged_line
from f2rcli.tasks.tags import escape
from f2rcli.tasks.types import Dialogue, Request, TokenLogprob, Utterance

_SLICE_ID = re.compile(r"(.*)_split_([0-9]{1,9})", re.DOTALL)


def is_slice(name: str) -> bool:
    """Whether a dialogue of this id is a slice of another."""
    return bool(_SLICE_ID.fullmatch(name))


def merge_predictions(slices: Path, original: Task) -> Iterator[dict[str, Any]]:
    """One prediction line an original request, from the predictions for its slices.

    Raises InputError for a line that is no slice's prediction, for a slice that is lacking, and for
    slices whose dialogue is not among the originals.
    """
    merger = SliceMerger()
    for entry in read_values(slices):
        try:
            prediction, parsed = parse_prediction(entry.value, ""), parse(entry.value)
            if parsed.problems:
                raise InputError(parsed.problems[0])
            merger.add(parsed.requests[0], prediction, read_logprobs(entry.value))
        except InputError as error:
            raise error.at(entry.where) from None
    for request in original.requests():
        try:
            yield merger.merge(request)
        except InputError as error:
            raise error.at(str(slices)) from None
    if unused := merger.unused():
        what = f"{len(unused)} predictions belong to nothing in {original.path}, such as {unused[0]}"
        raise InputError(what, where=str(slices))


@dataclass
class _Part:
    """The prediction for one slice (`number`), or for a dialogue that was left whole (None)."""

    number: int | None
    dialogue: Dialogue
    prediction: Prediction
    tokens: Sequence[TokenLogprob] = ()
    used: bool = False

    def is_of(self, whole: Dialogue) -> bool:
        """Whether its turns are turns of this dialogue: ids need not be unique, contents tell."""
        known = {utterance.id: said(utterance) for utterance in whole.utterances}
        return all(known.get(u.id) == said(u) for u in self.dialogue.utterances)


def said(utterance: Utterance) -> str:
    """Speaker and text, whichever colon is between them: either may have colons of its own."""
    return re.sub("[:：]", "", flat(utterance.speaker + utterance.text))


def flat(text: str) -> str:
    """What of a text survives being written into a prompt and read again."""
    return "".join(escape(text).split())


class SliceMerger:
    """Puts slice predictions of any tool back together, by dialogue and query.

    (The release merges by dialogue id alone, so that the answers to two queries of one dialogue run
    into each other.)
    """

    def __init__(self) -> None:
        self.parts: dict[tuple[str, str], list[_Part]] = defaultdict(list)

    def add(self, request: Request, prediction: Prediction, tokens: Sequence[TokenLogprob] = ()) -> None:
        """One slice's prediction (or a whole short dialogue's), with its log-probabilities if it has."""
        name = _SLICE_ID.fullmatch(request.dialogue.id)
        dialogue_id, number = (name[1], int(name[2])) if name else (request.dialogue.id, None)
        part = _Part(number, request.dialogue, prediction, tokens)
        self.parts[dialogue_id, flat(request.query.text)].append(part)

    def merge(self, original: Request) -> dict[str, Any]:
        """The prediction line of an original request. Raises InputError for lacking slices."""
        whole = original.dialogue
        known = self.parts.get((whole.id, flat(original.query.text)), [])
        found = sorted((p for p in known if p.is_of(whole)), key=lambda part: part.number or 0)
        if len(found) > 1 and any(part.number is None for part in found):
            raise InputError(f"{whole.id} is there more than once as a whole, or also in slices")
        if len({part.number for part in found}) < len(found):
            raise InputError(f"a slice of {whole.id} is there twice")
        covered = frozenset(u.id for part in found for u in part.dialogue.utterances)
        if lacking := whole.everything.utterances - covered:
            raise InputError(
                f"no slice prediction covers {len(lacking)} utterances of "
                f"{whole.id} ({min(lacking)} to {max(lacking)})"
            )
        for part in found:
            part.used = True
        total = len(whole.images)
        answers = [
            Answer(part.prediction.response, _outside(part.dialogue, whole), total) for part in found
        ]
        kinds = {kind: "in a slice" for part in found for kind in part.prediction.failures}
        unasked = {"unasked": True} if any(part.prediction.unasked for part in found) else {}
        line = merged_line(original, answers, {"failures": kinds, **unasked})
        return with_logprobs(line, (token for part in found for token in part.tokens))

    def unused(self) -> list[str]:
        """Dialogue ids of the predictions that belong to no original."""
        return [part.dialogue.id for parts in self.parts.values() for part in parts if not part.used]


def _outside(part: Dialogue, whole: Dialogue) -> tuple[int, ...]:
    """Image ids of the slice as the whole dialogue's: the same place in the same utterance.

    Places rather than paths: a picture that is sent twice has one path but two ids.
    """
    carried = {utterance.id: utterance.images for utterance in whole.utterances}
    outside: dict[int, int] = {}
    for utterance in part.utterances:
        there = carried.get(utterance.id, ())
        if len(there) != len(utterance.images):
            raise InputError(f"{part.id}: utterance {utterance.id} carries other images than before")
        outside.update(zip(utterance.images, there, strict=True))
    for image in part.images:
        if image.path != whole.images[outside[image.id]].path:
            raise InputError(f"{part.id}: image {image.id} is not the original's ({image.path})")
    return tuple(outside[image.id] for image in part.images)
