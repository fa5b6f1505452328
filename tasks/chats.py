"""Raw chats (the WeChat export): one request a query, with a prompt of ours."""

from pathlib import Path
from typing import Any

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.parsed import Parsed
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Dialogue, Fragment, Image, Query, Request, Utterance

IMAGE_KEYS = ("image_url", "image", "path")


def parse_chat(chat: dict[str, Any], template: PromptTemplate) -> Parsed:
    """One raw chat as one request a query. Captions are not sent: they would answer for the picture.

    A chat without `query_text` gives no request; `parse_dialogue` is for those.
    """
    parsed = Parsed()
    dialogue = parse_dialogue(chat, parsed)
    queries, golds = _queries(chat, parsed), chat.get("gt_turns")
    turns_of = _turns_by_query(golds, len(queries), parsed)
    shares = parsed.shares(chat)
    for query, turns in zip(queries, turns_of, strict=True):
        gold = _gold(turns, dialogue, parsed)
        text = query.strip()
        if not text:
            parsed.problems.append("the query is empty")
        prompt = template.render(text, dialogue)
        parsed.requests.append(Request("", dialogue, Query(text), prompt, gold, shares=shares))
    return parsed


def read_dialogue(path: Path, wanted: str | None = None) -> Dialogue:
    """The dialogue of this id (or the only one) in a file of raw chats. Raises InputError."""
    known: list[str] = []
    for entry in read_values(path):
        chat = entry.value
        if not isinstance(chat, dict) or "dialogue" not in chat:
            raise InputError("not a raw chat (no dialogue in it)", where=entry.where)
        known.append(str(chat.get("dialogue_id", entry.number)))
        if wanted in (None, known[-1]):
            parsed = Parsed()
            found = parse_dialogue(chat, parsed)
            if parsed.problems:
                raise InputError(parsed.problems[0], where=entry.where)
            if wanted is not None:
                return found
    if wanted is None and len(known) == 1:
        return found
    if not known:
        raise InputError("no dialogue in it", where=str(path))
    some = ", ".join(known[:5]) + (" …" if len(known) > 5 else "")
    what = f"no dialogue {wanted!r}" if wanted else f"{len(known)} dialogues in it"
    raise InputError(what, where=str(path), fix=f"--id says which: {some}")


def parse_dialogue(chat: dict[str, Any], parsed: Parsed) -> Dialogue:
    """The turns of a raw chat; what does not fit goes to `parsed.problems`."""
    turns = chat.get("dialogue")
    if not isinstance(turns, list) or not turns:
        parsed.problems.append("dialogue is not a list of turns")
        turns = []
    utterances: list[Utterance] = []
    images: list[Image] = []
    for position, turn in enumerate(turns):
        if not isinstance(turn, dict):
            parsed.problems.append(f"turn {position} is not an object")
            continue
        index = turn.get("utterance_idx")
        if type(index) is not int or index < 0:
            parsed.problems.append(f"turn {position}: utterance_idx is not a whole number")
            continue
        if utterances and index <= utterances[-1].id:
            parsed.problems.append(f"turn {position}: utterance_idx {index} after {utterances[-1].id}")
        text, paths = _spoken(turn.get("utterance"), f"turn {position}", parsed)
        carried = tuple(range(len(images), len(images) + len(paths)))
        images += [Image(i, path) for i, path in zip(carried, paths, strict=True)]
        utterances.append(Utterance(index, str(turn.get("speaker") or ""), text, carried))
    return Dialogue(parsed.dialogue_id(chat), tuple(utterances), tuple(images))


def _spoken(said: Any, where: str, parsed: Parsed) -> tuple[str, list[str]]:
    """Text and image paths of a turn: a string, or a list of strings and picture objects."""
    texts: list[str] = []
    paths: list[str] = []
    if said == []:
        parsed.problems.append(f"{where}: utterance is empty")
    for item in said if isinstance(said, list) else [said]:
        path = None
        if isinstance(item, dict):
            path = next((item[key] for key in IMAGE_KEYS if item.get(key)), None)
            texts += [item["text"]] if isinstance(item.get("text"), str) else []
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(path, str):
            paths.append(path)
        else:
            parsed.problems.append(f"{where}: utterance is neither text nor a picture")
    return " ".join(texts), paths


def _queries(chat: dict[str, Any], parsed: Parsed) -> list[str]:
    found = chat.get("query_text")
    queries = found if isinstance(found, list) else [] if found is None else [found]
    if not all(isinstance(query, str) for query in queries):
        parsed.problems.append("query_text is neither text nor a list of texts")
        return []
    return queries


def _turns_by_query(golds: Any, queries: int, parsed: Parsed) -> list[Any]:
    """`gt_turns` split by query: `[3, 4]` for one query, `[[3, 4], …]` for one or several."""
    if golds is None or not queries:
        return [None] * queries
    nested = isinstance(golds, list) and any(isinstance(gold, list) for gold in golds)
    by_query = golds if nested else [golds]
    if not isinstance(golds, list) or len(by_query) != queries:
        parsed.problems.append(f"gt_turns does not fit {queries} queries")
        return [None] * queries
    return by_query


def _gold(turns: Any, dialogue: Dialogue, parsed: Parsed) -> Fragment | None:
    """Gold turns as a fragment: a turn that is a picture means its utterance and its image."""
    if turns is None:
        return None
    if not isinstance(turns, list) or not all(type(turn) is int for turn in turns):
        parsed.problems.append("gt_turns holds something else than turn numbers")
        return None
    utterances = frozenset(turns)
    if lacking := utterances - dialogue.everything.utterances:
        parsed.warnings.append(f"gt_turns has turns that the dialogue lacks: {sorted(lacking)}")
    images = frozenset(i for i, carrier in dialogue.carrier.items() if carrier in utterances)
    return Fragment(utterances, images)
