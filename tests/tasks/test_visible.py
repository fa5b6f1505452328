"""Control codes of others are shown, not obeyed."""

import pytest

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;标题\x07", "\\x1b[2J\\x1b]0;标题\\x07"),
        ("\x9b31m\x00\x7f\r", "\\x9b31m\\x00\\x7f\\r"),
        ("\u202e倒\u2066", "\\u202e倒\\u2066"),
        ("两行\n和\t空", "两行\n和\t空"),
        ("👩\u200d👩\u200d👧 ❤\ufe0f", "👩\u200d👩\u200d👧 ❤\ufe0f"),
    ],
)
def test_what_would_command_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_complaint_commands_no_terminal() -> None:
    assert str(InputError("\x1b[2J坏\n了", where="文\x9b件")) == "文\\x9b件: \\x1b[2J坏 了"
