"""Reading a model's text as a fragment: leniently as the release does, or strictly."""

import json
import re
from typing import Any

from f2rcli.tasks.types import Fragment

_LENIENT = {
    "utterances": re.compile(r"<\|utt_ids_start\|>(.*?)<\|utt_ids_end\|>"),
    "images": re.compile(r"<\|img_ids_start\|>(.*?)<\|img_ids_end\|>"),
}
_LOOSE = {name: re.compile(rule.pattern, re.DOTALL) for name, rule in _LENIENT.items()}
_STRICT = re.compile(
    r"<\|utt_ids_start\|>\[([0-9,\s]*)\]<\|utt_ids_end\|>;"
    r"<\|img_ids_start\|>\[([0-9,\s]*)\]<\|img_ids_end\|>"
)
_WHOLE_NUMBER = re.compile(r"[0-9]+")
_MAX_DIGITS = 4000  # Python refuses to read longer numbers


def parse_published(text: str) -> tuple[Fragment, bool]:
    """The fragment as the release's scoring script reads it, and whether all of it was readable.

    Per modality the first pair of tags anywhere counts, what is between (no line break) is read as
    JSON, and anything unreadable is an empty list while the other modality still counts.
    """
    utterances = _lenient_ids(text, "utterances")
    images = _lenient_ids(text, "images")
    fragment = Fragment(frozenset(utterances or ()), frozenset(images or ()))
    return fragment, utterances is not None and images is not None


def repeats_ids(text: str) -> bool:
    """Whether an answer's list has an id twice."""
    found = (_lenient_ids(text, modality) or [] for modality in _LENIENT)
    return any(len(set(ids)) < len(ids) for ids in found)


def _lenient_ids(text: str, modality: str) -> list[int] | None:
    found = _LENIENT[modality].search(text)
    if not found:
        return None
    try:
        ids: Any = json.loads(found[1])
    except (ValueError, RecursionError):
        return None
    if isinstance(ids, list) and all(type(i) is int for i in ids):
        return ids
    return None


def parse_strict(text: str) -> Fragment | None:
    """The fragment of an answer in exactly the asked form, or None if it is malformed.

    Allowed around it: a leading thinking block, `<answer>` tags, white space. Inside the brackets
    only whole numbers separated by commas count; a stray comma is ignored, two numbers without a
    comma between them are malformed.
    """
    text = text.strip()
    if text.startswith("<think>"):
        text = text.partition("</think>")[2].strip()
    if text.startswith("<answer>") and text.endswith("</answer>"):
        text = text.removeprefix("<answer>").removesuffix("</answer>").strip()
    lists = strict_lists(text)
    if lists is None or not all(is_id(item) for items in lists for item in items):
        return None
    return Fragment(*(frozenset(map(int, items)) for items in lists))


def strict_lists(text: str) -> tuple[list[str], ...] | None:
    """What stands between the commas of the two lists, or None if the text is not exactly the form.

    Nothing may be around the form. Items are stripped, and empty ones are left out; one that is no
    whole number (`1 2`) is for the caller to judge.
    """
    found = _STRICT.fullmatch(text)
    if not found:
        return None
    stripped = ([item.strip() for item in inside.split(",")] for inside in found.groups())
    return tuple([item for item in items if item] for items in stripped)


def is_id(item: str) -> bool:
    """Whether an item of a list is a whole number that Python reads."""
    return len(item) <= _MAX_DIGITS and _WHOLE_NUMBER.fullmatch(item) is not None


def parse_loose(text: str) -> Fragment:
    """The fragment as the release reads the answer for a *slice* of a long dialogue.

    Any run of digits between the tags is an id, across line breaks and without asking for JSON.
    """
    found = [rule.search(text) for rule in _LOOSE.values()]
    return Fragment(*(frozenset(_digits(match[1])) if match else frozenset() for match in found))


def has_both_lists(text: str) -> bool:
    """Whether both pairs of tags are there for `parse_loose` to read."""
    return all(rule.search(text) for rule in _LOOSE.values())


def _digits(text: str) -> list[int]:
    return [int(run) for run in _WHOLE_NUMBER.findall(text) if len(run) <= _MAX_DIGITS]
