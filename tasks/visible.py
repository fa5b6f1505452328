"""Text of others for a terminal: what would command it is shown instead."""

import re

# Control characters but for tab and line feed, and the marks that turn the direction of a line. (Marks
# that only join or choose the look of their neighbours stay: emoji are made with them.)
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with control codes as Python writes them: `\\x1b` for an escape."""
    return _COMMANDS.sub(lambda found: repr(found[0])[1:-1], text)
