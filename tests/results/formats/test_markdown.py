"""Tables for GitHub: nothing from the data is markup."""

from pathlib import Path

import pytest
from handmade import answer, evaluated
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tabled import row, says, seeds

from f2rcli.results.cells import plain
from f2rcli.results.formats.markdown import escaped, markdown
from f2rcli.results.layouts import lay_out
from f2rcli.results.tables import build_table

GITHUB = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def shown(text: str, kind: str) -> list[str]:
    """The plain contents of all `td`, `th` or `li` that a reader of the Markdown sees."""
    found, inside = [], False
    for token in GITHUB.parse(text):
        if token.tag == kind:
            inside = token.nesting == 1
        elif inside and token.type == "inline":
            assert token.children is not None
            found.append("".join(child.content for child in token.children))
    return found


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b\\c", r"a\|b\\c"),
        ("`x` <b> *i* _j_", r"\`x\` \<b\> \*i\* \_j\_"),
        ("[x](y) # ~~s~~ &amp; $1$", r"\[x\](y) \# \~\~s\~\~ \&amp; \$1\$"),
        ("mini-mldr", "mini-mldr"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
    ],
)
def test_special_characters_are_escaped(text: str, written: str) -> None:
    assert escaped(text) == written


@given(st.text(), st.text())
def test_any_name_is_read_as_it_was_written(one: str, other: str) -> None:
    table = f"| a | b |\n|---|---|\n| {escaped(one)} | {escaped(other)} |\n"
    assert shown(table, "td") == [plain(one), plain(other)]
    if plain(one):
        assert shown(f"- {escaped(one)}\n", "li") == [plain(one)]


def test_the_table_with_its_faces_and_notes(chats: Path, out: Path) -> None:
    """Joint F1 1/7 and 28/65, as in the tests of layouts; the seeds' mean lies between."""
    texts = {"a|b_少": answer([2]), "多": answer([2, 3, 4], [0])}
    runs = [evaluated(says(text), chats, out, row=row(name)) for name, text in texts.items()]
    text = markdown(lay_out(build_table([*runs, *seeds(chats, out, *texts.values())]), "main"))
    assert shown(text, "th") == ["joint, %", "trained", *(f"聊天: {m}" for m in ("P", "R", "F1", "MCC"))]
    lines = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines()[2:5]]
    assert [line[0].removeprefix("| ") for line in lines] == [r"a\|b\_少", "多", "抽签"]
    assert [line[4] for line in lines] == ["14.29", "**43.08**", "<u>28.68</u> ± 20.36"]
    notes = shown(text, "li")
    assert notes[0] == "聊天: 3 requests, strict protocol, micro average"
    assert notes[1] == "抽签 on 聊天: mean ± sample standard deviation of 2 seeds (0, 1)"
    assert notes[-1].startswith("bold: best of a column")
