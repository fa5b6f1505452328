"""Which format a record has, and the requests in it."""

import json
from typing import Any

from f2rcli.tasks.chats import parse_chat
from f2rcli.tasks.parsed import Parsed
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.records import parse_record


def parse(record: Any, template: PromptTemplate | None = None) -> Parsed:
    """Requests of one record of any of the three formats.

    `template` replaces the prompt: without one, an official record is asked as recorded, and a raw
    chat in the language of its query.
    """
    if _has_half_characters(record):
        return Parsed(problems=["text with half a character (a lone surrogate escape)"])
    if not isinstance(record, dict):
        return Parsed(problems=["not a JSON object"])
    if "messages" in record:
        parsed = parse_record(record)
        if template:
            parsed.requests = [template.apply(request) for request in parsed.requests]
        return parsed
    if "dialogue" in record:
        return parse_chat(record, template or PromptTemplate.by_language())
    return Parsed(problems=["neither messages (official record) nor dialogue (raw chat)"])


def _has_half_characters(record: Any) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
