"""One retriever for every encoder: what is similar enough to the query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from f2rcli.adapters.encoders.embed import Embeddings, embed_each
from f2rcli.adapters.encoders.encoder import Encoder, Options, open_encoder
from f2rcli.adapters.encoders.pretrained import device_of
from f2rcli.adapters.registry import ModelRow, Settings
from f2rcli.adapters.retriever import Retriever, found
from f2rcli.tasks.curves import DIGITS, Similarities, Thresholds, highest, margins
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Dialogue, Fragment, Request, Retrieval

if TYPE_CHECKING:
    from f2rcli.tasks.similarity import Vector

AT_ONCE = 64  # requests that are embedded together; then they are answered
PROMPTS = ("query_prompt", "text_prompt", "image_prompt")


class EmbeddingRetriever(Retriever):
    """Utterances and images whose cosine similarity to the query reaches a threshold, or the
    `top_k` nearest of each.

    An utterance is embedded with the text of its `context` neighbours on either side. One of nothing
    but pictures goes with its pictures; under an encoder of texts only, a picture goes with its
    utterance. The thresholds are chosen by `f2r calibrate`, never on test data.
    """

    def __init__(
        self,
        encoder: Encoder,
        rule: Thresholds | int | None,
        context: int = 0,
        sources: dict[str, Any] | None = None,
    ) -> None:
        self.encoder = encoder
        self.rule = rule
        self.context = context
        self.sources = sources or {}
        self.uses_images = encoder.sees_pictures

    @classmethod
    def load(cls, row: ModelRow, settings: Settings) -> Self:
        """Raises InputError if the checkpoint is not there, if it or its use is not what the row's
        thresholds were chosen with, or if there is nothing to select by."""
        return cls._with_rule(row, settings, choose_rule(row, settings.top_k))

    @classmethod
    def uncalibrated(cls, row: ModelRow, settings: Settings) -> Self:
        """As `load`, to choose thresholds for: it has similarities, but retrieves nothing."""
        return cls._with_rule(row, settings, None)

    @classmethod
    def _with_rule(cls, row: ModelRow, settings: Settings, rule: Thresholds | int | None) -> Self:
        prompts = {name: row.settings.get(name) for name in PROMPTS}
        options = Options(settings.device, settings.dtype, **prompts)
        encoder = open_encoder(row.settings["checkpoint"], row.name, options)
        if isinstance(rule, Thresholds) and not encoder.sees_pictures:
            rule = Thresholds(rule.utterances, rule.utterances)
        sources = {
            "checkpoint": row.settings["checkpoint"],
            "encoder": type(encoder).__name__,
            "device": device_of(settings.device),
            "batch_size": encoder.at_once,
        }
        made = cls(encoder, rule, row.settings.get("context", 0), sources)
        if isinstance(rule, Thresholds) and row.settings.get("chosen_with") not in (None, made.used):
            raise InputError(
                "its thresholds were chosen with another checkpoint, or another use of it (prompts, "
                "precision, context)",
                where=row.name,
                fix=f"`f2r calibrate --model {row.name} …` chooses new ones; or give --top-k",
            )
        return made

    @property
    def used(self) -> str:
        """What similarities depend on beside the texts and pictures: thresholds are for no other."""
        return self.encoder.digest + (f", context {self.context}" if self.context else "")

    def identity(self) -> dict[str, Any]:
        found = {"encoder": self.encoder.digest, "context": self.context}
        if isinstance(self.rule, Thresholds):
            return {**found, "thresholds": self.rule._asdict()}
        return {**found, "top_k": self.rule}

    def environment(self) -> dict[str, Any]:
        return self.sources

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        for request, similarities in self.similarities(requests):
            retrieval = found(request, self._taken(request.dialogue, similarities))
            retrieval.details.update(similarities.details())
            yield retrieval

    def similarities(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Similarities]]:
        """Every request with the similarities of its candidates, a batch of requests at a time."""
        for begin in range(0, len(requests), AT_ONCE):
            some = requests[begin : begin + AT_ONCE]
            dialogues = {request.dialogue.digest: request.dialogue for request in some}
            read = {name: self._read(dialogue) for name, dialogue in dialogues.items()}
            files = {i.file for r in some for i in r.dialogue.images if i.file and self.uses_images}
            known = embed_each(
                self.encoder,
                [request.query.text for request in some],
                [text for texts in read.values() for text in texts if text],
                {file: Path(file) for file in sorted(files)},
            )
            for request in some:
                yield request, self._compare(request, read[request.dialogue.digest], known)

    def _read(self, dialogue: Dialogue) -> list[str]:
        """What is embedded of each utterance: its text and its neighbours', a line each; of one
        without text nothing, if its pictures are seen."""
        texts = [utterance.text.strip() for utterance in dialogue.utterances]
        read = []
        for place, (text, utterance) in enumerate(zip(texts, dialogue.utterances, strict=True)):
            if not text and utterance.images and self.uses_images:
                read.append("")
                continue
            window = texts[max(0, place - self.context) : place + self.context + 1]
            alone = utterance.text if text else ""
            read.append("\n".join(filter(None, window)) if self.context else alone)
        return read

    def _compare(self, request: Request, read: list[str], known: Embeddings) -> Similarities:
        query = known.queries[request.query.text].vector
        texts = tuple(_nearest(known.texts[text].vector, query) if text else None for text in read)
        if not self.uses_images:
            at = dict(zip((u.id for u in request.dialogue.utterances), texts, strict=True))
            carrier = request.dialogue.carrier
            places = (carrier.get(image.id) for image in request.dialogue.images)
            return Similarities(texts, tuple(None if p is None else at[p] for p in places))
        files = (image.file for image in request.dialogue.images)
        images = (_nearest(known.pictures[file].vector, query) if file else None for file in files)
        return Similarities(texts, tuple(images))

    def _taken(self, dialogue: Dialogue, similarities: Similarities) -> Fragment:
        if isinstance(self.rule, Thresholds):
            return margins(dialogue, similarities, self.rule).fragment()
        assert self.rule is not None  # `uncalibrated` is not asked to retrieve
        plain = margins(dialogue, similarities, Thresholds())
        utterances = highest(plain.utterances, self.rule)
        if self.uses_images:
            return Fragment(utterances, highest(plain.images, self.rule))
        carried = (i for i, carrier in dialogue.carrier.items() if carrier in utterances)
        return Fragment(utterances, frozenset(carried))


def choose_rule(row: ModelRow, top_k: int | None) -> Thresholds | int:
    """What a row selects by: the number that is asked for, or its own, or its thresholds.

    Raises InputError if it has none of them.
    """
    number: int | None = top_k or row.settings.get("top_k")
    if number:
        return number
    if "utterance_threshold" not in row.settings:
        raise InputError(
            f"{row.name} has no thresholds",
            fix=f"`f2r calibrate --model {row.name} --task TRAINING_DATA --name NAME -o FILE.toml` "
            "chooses some; --top-k K does without",
        )
    utterances = row.settings["utterance_threshold"]
    return Thresholds(utterances, row.settings.get("image_threshold", utterances))


def _nearest(candidate: Vector, query: Vector) -> float:
    """Cosine similarity of unit vectors; of several vectors (a row each) the largest."""
    products = np.atleast_2d(candidate).astype(np.float64) @ query.astype(np.float64)
    return round(float(products.max()), DIGITS)
