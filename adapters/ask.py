"""Asking a retriever about one dialogue: the everyday use, outside any task."""

from dataclasses import dataclass, field, replace

from f2rcli.adapters.retriever import Retriever
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.predictions import Answer
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.slicing import slice_request
from f2rcli.tasks.types import Dialogue, Fragment, Query, Request


@dataclass
class Found:
    """The fragment (ids of the dialogue only), and in words what went wrong on the way to it."""

    fragment: Fragment = field(default_factory=Fragment)
    failures: list[str] = field(default_factory=list)


def ask(
    retriever: Retriever,
    dialogue: Dialogue,
    query: str,
    template: PromptTemplate,
    images: ImageFolder,
) -> Found:
    """Find the fragment for a query. Raises InputError for an empty query or a missing image."""
    if not query.strip():
        raise InputError("the query is empty")
    if retriever.sees_gold:
        raise InputError("this row only repeats a gold answer, and your chat has none")
    if retriever.uses_images:
        located = (replace(i, file=str(images.resolve(i.path))) for i in dialogue.images)
        dialogue = Dialogue(dialogue.id, dialogue.utterances, tuple(located))
    request = Request("chat", dialogue, Query(query), template.render(query, dialogue))
    slices = {s.request.id: s for s in slice_request(request, retriever.max_turns)}
    found = Found()
    for retrieval in retriever.retrieve([part.request for part in slices.values()]):
        if retrieval.failure:
            found.failures.append(f"{retrieval.failure.kind}: {retrieval.failure.message}")
        if retrieval.text is None:
            continue
        fragment = parse_strict(retrieval.text)
        if fragment is None:
            found.failures.append(f"malformed answer: {retrieval.text[:200]!r}")
        else:
            answer = Answer(retrieval.text, slices[retrieval.request].images, len(dialogue.images))
            found.fragment |= answer.to_dialogue(fragment) & dialogue.everything
    return found
