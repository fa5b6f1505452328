"""A task's requests as questions with pictures in place, and the answers to them as counts.

Nothing here needs lm-evaluation-harness: it loads task.py, which asks this.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from f2rcli.tasks.datasets import Task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image
from f2rcli.tasks.metrics import NAMES, Counts
from f2rcli.tasks.predictions import Answer, parse_prediction, prediction_line
from f2rcli.tasks.scoring import JUDGES, MODALITIES, Protocol, Tally
from f2rcli.tasks.slicing import Slice, merged_line, slice_request
from f2rcli.tasks.tags import IMAGE_MARK, escape_control, render_answer
from f2rcli.tasks.types import Prompt, Request, image_tag

if TYPE_CHECKING:
    import PIL.Image

Doc = dict[str, Any]
SCORES = {f"{part}_{name}": (part, name) for part in ("joint", "utterance", "image") for name in NAMES}
FAILURES = ("malformed", "out_of_range_ids")


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and the slices in which it is asked (itself, if it is short)."""

    request: Request
    slices: list[Slice]


class Questions:
    """The requests of a task. Raises InputError for an unusable record or a lacking picture."""

    def __init__(self, task: Task) -> None:
        self.protocol = task.protocol
        located = map(task.with_images, task.requests())
        self.by_id = {request.id: Question(request, slice_request(request)) for request in located}

    def docs(self) -> list[Doc]:
        """One a request, in the dataset's order."""
        return [_doc(question.request) for question in self.by_id.values()]

    def parts(self, doc: Doc) -> list[Doc]:
        """One a slice of the doc's request."""
        return [{**doc, "slice": k} for k in range(len(self.by_id[doc["request"]].slices))]

    def text(self, doc: Doc) -> str:
        """The user message, with `<image>` where a picture is (of the first slice, or of the doc's)."""
        return message(self._slice(doc).request.prompt)

    def pictures(self, doc: Doc) -> list["PIL.Image.Image"]:
        """The pictures in the order of the text. Raises InputError for an unreadable one."""
        request = self._slice(doc).request
        files = {image.id: image.file or image.path for image in request.dialogue.images}
        return [open_image(files[part]) for part in request.prompt.parts() if isinstance(part, int)]

    def line(self, doc: Doc, answers: Sequence[str]) -> dict[str, Any]:
        """The request's prediction line, from the answers to its slices in their order."""
        question = self.by_id[doc["request"]]
        ours: dict[str, Any] = {"failures": {}}
        if len(question.slices) == 1:
            return prediction_line(question.request, answers[0], ours)
        total = len(question.request.dialogue.images)
        pairs = zip(answers, question.slices, strict=True)
        parts = [Answer(text, part.images, total) for text, part in pairs]
        return merged_line(question.request, parts, ours)

    def _slice(self, doc: Doc) -> Slice:
        return self.by_id[doc["request"]].slices[doc.get("slice", 0)]


def _doc(request: Request) -> Doc:
    assert request.gold is not None  # a task has no requests without
    return {
        "request": request.id,
        "query": request.query.text,
        "system": plain(request.prompt.system or ""),
        "gold": render_answer(request.gold),
    }


def message(prompt: Prompt) -> str:
    """A prompt as one text with `<image>` after the tag of every picture."""
    texts = (plain(p) if isinstance(p, str) else image_tag(p) + IMAGE_MARK for p in prompt.parts())
    return "".join(texts)


def plain(text: str) -> str:
    """Text in which nothing can be taken for a picture or for a control token, save the FFR tags."""
    return escape_control(text).replace(IMAGE_MARK, "< image>")


def check_places(text: str, context: Any) -> None:
    """Raises InputError if a picture of `text` has no place in what a model makes of it, or if that is
    no text at all (an API's messages, in which all pictures stand before the text).

    A place is known by what comes between the texts around it, so a picture with no text behind it
    cannot be missed.
    """
    sides = pairwise(text.split(IMAGE_MARK))
    if not isinstance(context, str) or any(
        after and before + after in context for before, after in sides
    ):
        raise InputError(
            "the model does not get every picture in its place in the chat, so image ids mean nothing",
            fix="use --model hf-multimodal with interleave=True and max_images large enough",
        )


def counted(protocol: Protocol, line: dict[str, Any]) -> Doc:
    """A prediction line's value for every metric: counts, to be summed by `aggregate`."""
    verdict = JUDGES[protocol](parse_prediction(line, ""))
    matrices = {}
    for modality in MODALITIES:
        counts = verdict.counts(modality)
        matrices[modality] = [counts.tp, counts.fp, counts.fn, counts.tn]
    failed = int("malformed" in verdict.failures)
    failures = dict(zip(FAILURES, (failed, verdict.out_of_range.size), strict=True))
    return {**dict.fromkeys(SCORES, matrices), **failures}


def aggregate(protocol: Protocol, metric: str, values: Iterable[dict[str, list[int]]]) -> float:
    """A metric of the summed counts (micro average), a fraction."""
    tally = Tally(protocol)
    for matrices in values:
        for modality, matrix in matrices.items():
            tally.micro[modality].add(Counts(*matrix))
    part, name = SCORES[metric]
    return tally.scores("micro")[part][name]
