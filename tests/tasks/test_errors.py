"""The one line that a user reads."""

import pytest

from f2rcli.tasks.errors import InputError


def test_says_where_what_and_what_to_do() -> None:
    error = InputError("标签缺失", where="聊天.json:3 (record 2)", fix="add labels")
    assert str(error) == "聊天.json:3 (record 2): 标签缺失; add labels"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("broken"), "broken"),
        (InputError("broken", where="a.json"), "a.json: broken"),
        (InputError("broken", fix="mend it"), "broken; mend it"),
    ],
)
def test_leaves_out_what_is_not_known(error: InputError, line: str) -> None:
    assert str(error) == line


def test_is_one_line_whatever_the_file_is_called() -> None:
    assert str(InputError("not\r\nJSON", where="my\nfile.json")) == "my file.json: not JSON"


def test_a_caller_adds_the_place_and_keeps_the_fix() -> None:
    assert str(InputError("broken", fix="mend it").at("b.json:1")) == "b.json:1: broken; mend it"
