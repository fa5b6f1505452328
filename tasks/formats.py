"""Which format a record has, and the requests in it."""

from typing import Any

from f2rcli.tasks.chats import parse_chat
from f2rcli.tasks.parsed import Parsed
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.types import Request


def parse(record: Any, template: PromptTemplate | None = None) -> Parsed:
    """Requests of one record of any of the three formats.

    `template` replaces the prompt: without one, an official record is asked as recorded, and a raw
    chat in the language of its query.
    """
    parsed = Parsed()
    if not isinstance(record, dict):
        parsed.problems.append("not a JSON object")
    elif "messages" in record:
        parsed = parse_record(record)
        if template:
            parsed.requests = [template.apply(request) for request in parsed.requests]
    elif "dialogue" in record:
        parsed = parse_chat(record, template or PromptTemplate.by_language())
    else:
        parsed.problems.append("neither messages (official record) nor dialogue (raw chat)")
    if _has_half_characters(parsed.requests):
        parsed.problems.append("text with half a character (a lone surrogate escape)")
    return parsed


def _has_half_characters(requests: list[Request]) -> bool:
    try:
        for request in requests:
            "".join(str(part) for part in request.prompt.parts()).encode()
    except UnicodeEncodeError:
        return True
    return False
