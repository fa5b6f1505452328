"""Classes of one's own: how they are loaded, what is beside them, and what `found` takes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_chats import fragment, request

from f2rcli.adapters.registry import Settings, build, find_row, load_rows
from f2rcli.adapters.retriever import Retriever, found
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Fragment

LONGEST = """
from f2rcli.adapters.retriever import Retriever, found
from f2rcli.tasks.types import Fragment

class Longest(Retriever):
    def retrieve(self, requests):
        for request in requests:
            longest = max(request.dialogue.utterances, key=lambda u: len(u.text))
            yield found(request, Fragment(frozenset([longest.id])))
"""
FIRST = """
from f2rcli.adapters.retriever import Retriever, found
from f2rcli.tasks.types import Fragment
from helper import choose

class First(Retriever):
    def __init__(self):
        from 包.里面 import NUMBER
        self.number = NUMBER

    def retrieve(self, requests):
        return (found(r, choose(self.number)) for r in requests)
"""
HELPER = "from f2rcli.tasks.types import Fragment\n\ndef choose(i):\n    return Fragment({i}, ())\n"


def loaded(file: Path, name: str) -> Retriever:
    return build(find_row(f"{file}:{name}", load_rows()), Settings())


def answered(retriever: Retriever) -> Fragment | None:
    (retrieval,) = retriever.retrieve([request("好", "这一句最长", "嗯嗯")])
    return parse_strict(retrieval.text or "")


def with_helper(folder: Path, number: int = 1) -> Path:
    """A file that imports a module and, later, a package beside it."""
    (folder / "包").mkdir(parents=True)
    (folder / "包/里面.py").write_text(f"NUMBER = {number}\n", encoding="utf-8")
    (folder / "helper.py").write_text(HELPER, encoding="utf-8")
    (folder / "mine.py").write_text(FIRST, encoding="utf-8")
    return folder / "mine.py"


def test_a_class_of_ones_own_retrieves(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(LONGEST, encoding="utf-8")
    retriever = loaded(file, "Longest")
    assert answered(retriever) == fragment([1])
    assert retriever.uses_images  # the attributes have working defaults
    assert retriever.max_turns is None
    assert not retriever.sees_gold
    assert "modules" not in retriever.identity()


def test_a_class_of_ones_own_may_use_dataclasses(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    data = "from dataclasses import dataclass\n\n@dataclass\nclass Hit:\n    utterance: int\n"
    file.write_text("from __future__ import annotations\n" + data + LONGEST, encoding="utf-8")
    assert answered(loaded(file, "Longest")) == fragment([1])


def test_a_file_is_found_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(LONGEST, encoding="utf-8")
    (tmp_path / "子").mkdir()
    rows = tmp_path / "子/我的.toml"
    rows.write_text('[mine]\nkind = "python"\nfile = "~/mine.py"\nclass = "Longest"\n')
    assert answered(loaded(Path("~/mine.py"), "Longest")) == fragment([1])
    assert answered(build(load_rows(rows)["mine"], Settings())) == fragment([1])


def test_a_file_of_code_is_looked_for_from_where_its_row_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "子").mkdir()
    (tmp_path / "子/mine.py").write_text(LONGEST, encoding="utf-8")
    text = '[mine]\nkind = "python"\nfile = "mine.py"\nclass = "Longest"\n'
    (tmp_path / "子/我的.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert answered(build(load_rows(Path("子/我的.toml"))["mine"], Settings())) == fragment([1])


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (LONGEST, "Shortest", "Shortest is not a class derived from"),
        ("class Mine:\n    def retrieve(self, requests): ...\n", "Mine", "Mine is not a class"),
        ("Mine = 3\n", "Mine", "Mine is not a class"),
        (LONGEST, "Retriever", "Retriever is not a class"),  # abstract: nothing retrieves
        ("def broken(:\n", "Mine", "cannot be imported"),
        ("import no_such_package_at_all\n", "Mine", "cannot be imported"),
    ],
)
def test_a_file_without_the_class_is_named(tmp_path: Path, text: str, name: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        loaded(file, name)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_python_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as caught:
        loaded(tmp_path / "没有.py", "Mine")
    assert caught.value.where == f"{tmp_path}/没有.py"


def test_what_is_imported_from_beside_the_file_is_of_its_identity(tmp_path: Path) -> None:
    file = with_helper(tmp_path / "甲")
    first = loaded(file, "First")
    assert answered(first) == fragment([1])
    assert list(first.identity()["modules"]) == ["helper.py", "包/里面.py"]
    assert loaded(file, "First").identity() == first.identity()
    assert answered(loaded(with_helper(tmp_path / "乙", 2), "First")) == fragment([2])  # not 甲's
    for beside in ("helper.py", "包/里面.py"):
        before = loaded(file, "First").identity()
        (file.parent / beside).write_text((file.parent / beside).read_text() + "# 改了\n")
        assert loaded(file, "First").identity() != before


def test_what_is_beside_the_file_shadows_nothing_afterwards(tmp_path: Path) -> None:
    """Also where it could not be imported after all."""
    (tmp_path / "imaplib.py").write_text("HERE = True\n")
    file = tmp_path / "mine.py"
    file.write_text("import imaplib\nimaplib.HERE\n" + LONGEST, encoding="utf-8")
    before, path = set(sys.modules), list(sys.path)
    assert list(loaded(file, "Longest").identity()["modules"]) == ["imaplib.py"]
    file.write_text("import imaplib\n1 / 0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.py:2: cannot be imported: ZeroDivisionError"):
        loaded(file, "Longest")
    assert sys.path == path
    assert {name for name in set(sys.modules) - before if not name.startswith("f2r_model_")} == set()
    import imaplib

    assert not hasattr(imaplib, "HERE")


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_ids_may_be_of_any_kind_of_whole_number(kind: Any) -> None:
    made = Fragment(frozenset(map(kind, (2, 0))), frozenset([kind(1)]))
    retrieval = found(request("好"), made)
    assert retrieval.text == found(request("好"), fragment([0, 2], [1])).text


@pytest.mark.parametrize("odd", ["3", 1.0, np.float64(2), True, np.True_, -1, np.int64(-2), None])
@pytest.mark.parametrize("utterances", [True, False])
def test_what_is_no_id_is_refused(odd: Any, utterances: bool) -> None:
    some = [frozenset([odd]), frozenset([0])]
    with pytest.raises(InputError) as caught:
        found(request("好"), Fragment(*(some if utterances else some[::-1])))
    assert repr(odd) in str(caught.value)
    assert type(odd).__name__ in str(caught.value)
