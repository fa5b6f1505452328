"""How an answer ended: only what is known to have ended as it should is an answer."""

from typing import Any

from f2rcli.adapters.api.failures import AttemptError, one_line
from f2rcli.tasks.types import Failure

WELL = {"stop", "end_turn", "stop_sequence", "eos", "eos_token"}
CUT_OFF = {"length", "max_tokens", "model_length", "model_context_window_exceeded"}
FILTERED = ("content_filter", "refusal", "safety", "sensitive", "recitation", "prohibited_content")


def judge(ending: Any, text: str, refusal: str = "") -> Failure | None:
    """None for a whole answer; else why it is `truncated` or `refused` (in the model's own words where
    it has a `refusal`).

    An endpoint that names no ending is believed where there is a text. Raises AttemptError for every
    other ending: an error on its side, a tool that it wants to use, or a word that nobody here knows.
    """
    word = ending.lower() if isinstance(ending, str) else ""
    if refusal or word.startswith(FILTERED):  # Gemini's goes on: "content_filter: …"
        return Failure("refused", refusal or ending)
    if word in CUT_OFF:
        return Failure("truncated", f"the endpoint's limit on tokens ({ending})")
    if word in WELL or (ending in (None, "") and text.strip()):
        return None
    if ending in (None, ""):
        raise AttemptError("the answer is empty and has no ending", again=True, lost=True)
    told = f"the answer ended with {one_line(str(ending))[:100]!r}"
    raise AttemptError(told, again=True, lost=True)
