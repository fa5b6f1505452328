"""Merging slice predictions of any tool, whose slices this package need not have made."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from f2rcli.tasks.datasets import Task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.formats import parse
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.predictions import Answer, parse_prediction, prediction_line
from f2rcli.tasks.slicing import merge_answers, slices_field
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Dialogue, Request

_SLICE_ID = re.compile(r"(.*)_split_([0-9]+)", re.DOTALL)


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
            parse_prediction(entry.value, "")
            merger.add(parse(entry.value).requests[0], entry.value["response"])
        except InputError as error:
            raise error.at(entry.where) from None
    for request in original.requests():
        try:
            answers = merger.merge(request)
        except InputError as error:
            raise error.at(str(slices)) from None
        merged = render_answer(merge_answers(answers, request.dialogue))
        yield prediction_line(request, merged, {"slices": slices_field(answers)})
    if merger.slices:
        name, query = next(iter(merger.slices))
        raise InputError(
            f"{len(merger.slices)} dialogues are not in {original.path}, such as {name} ({query})",
            where=str(slices),
        )


class SliceMerger:
    """Puts slice predictions of any tool back together, by dialogue and query.

    (The release merges by dialogue alone, so that the answers to two queries of one dialogue run into
    each other.)
    """

    def __init__(self) -> None:
        self.slices: dict[tuple[str, str], list[tuple[int, Request, str]]] = defaultdict(list)

    def add(self, request: Request, response: str) -> None:
        """One slice's prediction. Raises InputError if it is none."""
        name = _SLICE_ID.fullmatch(request.dialogue.id)
        if name is None:
            raise InputError(f"dialogue_id {request.dialogue.id!r} does not end in _split_<k>")
        self.slices[name[1], request.query.text].append((int(name[2]), request, response))

    def merge(self, original: Request) -> list[Answer]:
        """The answers to an original request's slices, in order. Raises InputError for lacking ones."""
        found = self.slices.pop((original.dialogue.id, original.query.text), [])
        found.sort(key=lambda part: part[0])
        covered = frozenset(u.id for _, part, _ in found for u in part.dialogue.utterances)
        if lacking := original.dialogue.everything.utterances - covered:
            raise InputError(
                f"no slice prediction covers {len(lacking)} utterances of "
                f"{original.dialogue.id} ({min(lacking)} to {max(lacking)})"
            )
        total = len(original.dialogue.images)
        return [
            Answer(response, _outside(part.dialogue, original.dialogue), total)
            for _, part, response in found
        ]


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
