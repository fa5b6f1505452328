"""The key for an endpoint, and that nobody else gets to see it."""

import os
import re
from typing import Any

LEAST = 4  # characters: what is shorter is no key, and would be found in every text
SECRET = 12  # from here on it is one, and not the "none" or "local" that servers of one's own are given
CUT = "…"


class Key:
    """What an environment variable holds; `value` is "" where that is nothing."""

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self.value = os.environ.get(variable, "").strip()
        sought = self.value if len(self.value) >= LEAST else ""
        self._forms = re.compile("".join(map(_forms, sought))) if sought else None

    @property
    def sound(self) -> bool:
        """Whether it can be a header (an exception about one that cannot be would show it)."""
        return re.fullmatch("[!-~]*", self.value) is not None

    def cut(self, text: str) -> str:
        """The text without the key, also as JSON, URLs and HTML escape it. To be done before a text is
        shortened: of half a key nothing would be recognised."""
        return self._forms.sub(CUT, text) if self._forms else text

    def cut_all(self, value: Any) -> Any:
        """A JSON value without the key in any of its texts and names."""
        if isinstance(value, str):
            return self.cut(value)
        if isinstance(value, list):
            return [self.cut_all(part) for part in value]
        if isinstance(value, dict):
            return {self.cut(str(name)): self.cut_all(part) for name, part in value.items()}
        return value

    def in_any(self, value: Any) -> bool:
        """Whether a JSON value holds a secret key."""
        return len(self.value) >= SECRET and self.cut_all(value) != value


def _forms(sign: str) -> str:
    """A pattern for a character as it is and as it may be escaped (JSON, also twice; URL; HTML)."""
    code = f"{ord(sign):02x}"
    escapes = [
        rf"\\{{1,4}}u00{code}",
        f"%(?:25)?{code}",
        f"&#x0{{0,4}}{code};",
        f"&#0{{0,4}}{ord(sign)};",
    ]
    if sign in (names := {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}):
        escapes.append(f"&{names[sign]};")
    group = "?:" if sign == "\\" else "?>"  # the others need not be tried again: long texts stay fast
    return rf"({group}(?i:{'|'.join(escapes)})|\\{{0,4}}{re.escape(sign)})"
