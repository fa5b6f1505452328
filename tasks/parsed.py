"""What a record held, and what is wrong with it."""

from dataclasses import dataclass, field
from typing import Any

from f2rcli.tasks.types import Request

NO_QUERY = "no query in it; `f2r retrieve` asks one all the same"


@dataclass
class Parsed:
    """What a record held. With `problems` its requests cannot be trusted; with `warnings` they can.

    The requests have no `id` and no `where` yet: those depend on the records before.
    """

    requests: list[Request] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def shares(self, record: dict[str, Any]) -> tuple[str, ...]:
        """The record's `shares`, each once; none without the key."""
        found = record.get("shares") or []
        if not isinstance(found, list) or not all(isinstance(share, str) and share for share in found):
            self.problems.append("shares is not a list of texts")
            return ()
        return tuple(dict.fromkeys(found))

    def dialogue_id(self, record: dict[str, Any]) -> str:
        """The record's dialogue_id as text, "" without one; anything but text or a number is odd."""
        found = record.get("dialogue_id")
        if found is not None and type(found) not in (str, int):
            self.problems.append("dialogue_id is neither text nor a number")
        return "" if found is None else str(found)
