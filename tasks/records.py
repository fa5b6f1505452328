"""Official records: one request each, the prompt kept as recorded."""

from typing import Any

from f2rcli.tasks import tags
from f2rcli.tasks.answers import parse_published, repeats_ids
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.parsed import Parsed
from f2rcli.tasks.predictions import contents_of, image_order, user_content
from f2rcli.tasks.types import Dialogue, Fragment, Image, Query, Request


def parse_record(record: dict[str, Any]) -> Parsed:
    """One official record (or prediction line, whose gold is in `labels`) as one request."""
    parsed = Parsed()
    try:
        text, order = user_content(record), image_order(record)
    except InputError as error:
        parsed.problems.append(error.what)
        return parsed
    if (users := len(contents_of(record, "user"))) > 1:
        parsed.problems.append(f"{users} user messages; a record has one")
    content = tags.parse_content(text, _system(record, parsed), order)
    parsed.problems += content.problems
    parsed.warnings += content.warnings
    if content.query is None:
        parsed.problems.append("no query (<|query_start|>…<|query_end|>)")
    elif not content.query:
        parsed.problems.append("the query is empty")
    paths = _image_paths(record, parsed)
    if len(paths) != content.images:
        parsed.problems.append(
            f"{len(paths)} in images but {content.images} image tags in order in the text"
        )
    dialogue = Dialogue(
        parsed.dialogue_id(record),
        content.utterances,
        tuple(Image(i, path) for i, path in enumerate(paths)),
    )
    gold = _gold(record, parsed)
    if gold and (lacking := gold - dialogue.everything).size:
        ids = [*sorted(lacking.utterances), *(f"image {i}" for i in sorted(lacking.images))]
        parsed.warnings.append(f"the gold answer has ids that the dialogue lacks: {ids}")
    query, shares = Query(content.query or ""), parsed.shares(record)
    parsed.requests.append(Request("", dialogue, query, content.prompt, gold, shares=shares))
    return parsed


def _system(record: dict[str, Any], parsed: Parsed) -> str | None:
    """The system message, if there is one."""
    system = next(iter(contents_of(record, "system")), None)
    if system is not None and not isinstance(system, str):
        parsed.problems.append("the system message's content is not text")
        return None
    return system


def _image_paths(record: dict[str, Any], parsed: Parsed) -> list[str]:
    images = record.get("images") or []
    if not isinstance(images, list):
        parsed.problems.append("images is not a list")
        return []
    paths = []
    for i, image in enumerate(images):
        path = image.get("path") if isinstance(image, dict) else image
        if not isinstance(path, str) or not path:
            parsed.problems.append(f"image {i} has no path")
            path = ""
        paths.append(path)
    return paths


def _gold(record: dict[str, Any], parsed: Parsed) -> Fragment | None:
    """Gold of a record: `labels` in a prediction line, else `solution`, else the assistant's turn."""
    answers = {key: record[key] for key in ("labels", "solution") if record.get(key) is not None}
    if "response" not in record:  # else the assistant's turn is a model's answer, not gold
        for content in contents_of(record, "assistant"):
            answers["the assistant message"] = content
    golds = {}
    for source, answer in answers.items():
        fragment, readable = parse_published(answer if isinstance(answer, str) else "")
        if not readable:
            parsed.problems.append(f"{source} is not an answer in the official form")
            return None
        golds[source] = fragment
        if repeats_ids(answer):
            parsed.warnings.append(f"{source} has an id twice")
    if len(set(golds.values())) > 1:
        parsed.problems.append(f"{' and '.join(golds)} give different answers")
    return next(iter(golds.values()), None)


def record_of(request: Request) -> dict[str, Any]:
    """A request in the official record format."""
    prompt = request.prompt
    messages = [{"role": "user", "content": tags.render_content(prompt)}]
    if prompt.system is not None:
        messages.insert(0, {"role": "system", "content": prompt.system})
    record: dict[str, Any] = {
        "messages": messages,
        "images": [image.path for image in request.dialogue.images],
        "dialogue_id": request.dialogue.id,
    }
    if request.gold is not None:
        answer = tags.render_answer(request.gold)
        messages.append({"role": "assistant", "content": answer})
        record["solution"] = answer
    if request.shares:
        record["shares"] = list(request.shares)
    return record
