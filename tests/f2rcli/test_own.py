"""Whatever a class of one's own does wrong is one line with its place, and exit code 2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
SOUND = {  # the lines of a class, by what is on them
    "import": "import numpy",
    "init": "def __init__(self): pass",
    "attribute": "uses_images = False",
    "identity": "def identity(self): return {}",
    "environment": "def environment(self): return {}",
    "recall": "def recall(self, attempts): pass",
    "retrieve": "def retrieve(self, requests): return self.each(requests)",
    "each": "def each(self, requests): yield from (found(r, self.made(r)) for r in requests)",
    "made": "def made(self, request): return Fragment({0}, ())",
}


def write(**lines: str) -> str:
    """我的.py with other lines in some places; its name for --model."""
    found = SOUND | lines
    head = [
        "from f2rcli.adapters.retriever import Retriever, found",
        "from f2rcli.tasks.types import Fragment, Retrieval",
        found.pop("import"),
        "class 我的(Retriever):",
    ]
    text = "\n".join([*head, *(f"    {line}" for line in found.values())])
    Path("我的.py").write_text(text, encoding="utf-8")
    return "我的.py:我的"


def test_a_sound_class_is_evaluated(f2r: Run, chats: Path) -> None:
    assert f2r("eval", "-m", write(), "-t", chats, "--quiet").code == 0


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"import": "1 / 0"}, ":3: cannot be imported: ZeroDivisionError: division by zero"),
        (
            {"import": "raise SystemExit(0)"},
            ":3: cannot be imported: it ends the program by sys.exit(0)",
        ),
        ({"init": "def __init__(self): 1 / 0"}, ":5: 我的() does not work: ZeroDivisionError"),
        ({"init": "def __init__(self): exit()"}, ":5: 我的() does not work: it ends the program"),
        ({"init": "def __init__(self, n): pass"}, ": 我的() does not work: TypeError: "),
        ({"attribute": "max_turns = '10'"}, ": max_turns of 我的 is '10', not a whole number above 0"),
        ({"attribute": "max_turns = 0"}, ": max_turns of 我的 is 0, not a whole number above 0"),
        ({"attribute": "max_turns = True"}, ": max_turns of 我的 is True, not a whole number above 0"),
        ({"attribute": "uses_images = 'no'"}, ": uses_images of 我的 is 'no', not true or false"),
        ({"attribute": "sees_gold = 1"}, ": sees_gold of 我的 is 1, not true or false"),
        (
            {"attribute": "max_turns = property(lambda self: 1 / 0)"},
            ":6: max_turns of 我的: ZeroDivision",
        ),
        (
            {"identity": "def identity(self): raise KeyError('权重')"},
            ":7: identity() of 我的: KeyError: ",
        ),
        ({"identity": "def identity(self): exit(0)"}, ": identity() of 我的: it ends the program"),
        (
            {"identity": "def identity(self): return [1]"},
            ": identity() of 我的: it gives [1], not a dict",
        ),
        ({"identity": "def identity(self): return {'a': {1}}"}, ": identity() of 我的: TypeError: "),
        ({"identity": "def identity(self): return {'class': 1}"}, ": identity() of 我的 says class, "),
        (
            {"environment": "def environment(self): return {'a': {1}}"},
            ": environment() of 我的: TypeErr",
        ),
        ({"environment": "def environment(self): return"}, ": it gives None, not a dict"),
        ({"recall": "def recall(self, attempts): 1 / 0"}, ":9: recall() of 我的: ZeroDivisionError"),
        ({"retrieve": "def retrieve(self, requests): pass"}, ": 我的: retrieve() gives None, not a ret"),
        ({"retrieve": "def retrieve(self, requests): 1 / 0"}, ":10: 我的: ZeroDivisionError: division"),
        (
            {"each": "def each(self, requests): yield 3; exit(3)"},
            "我的.py:我的 yielded 3, which is no Re",
        ),
        (
            {"made": "def made(self, r): import sys; sys.exit(0)"},
            ":12: 我的: it ends the program by sys.",
        ),
        (
            {"made": "def made(self, request): assert False"},
            ":12: 我的: AssertionError; the answers bef",
        ),
        (
            {"made": "def made(self, request): return Fragment({'3'}, ())"},
            ":11: 我的: '3' (str) is no id",
        ),
        (
            {"made": "def made(self, request): return Fragment({True}, ())"},
            ": 我的: True (bool) is no id",
        ),
        ({"made": "def made(self, request): return Fragment((), {-1})"}, ": 我的: -1 (int) is no id"),
    ],
)
def test_what_it_does_wrong_is_told_with_its_place(
    f2r: Run, chats: Path, lines: dict[str, str], said: str
) -> None:
    complaint = f2r("eval", "-m", write(**lines), "-t", chats, "--quiet").complaint()
    assert complaint.startswith(
        "我的.py:我的 " if "yielded" in said else str(Path("我的.py").absolute())
    )
    assert said in complaint


def test_what_it_does_wrong_is_told_by_retrieve_too(f2r: Run, chats: Path) -> None:
    model = write(made="def made(self, request): raise ValueError('坏了')")
    complaint = f2r("retrieve", "-m", model, chats, "帐篷").complaint()
    assert "我的.py:12: 我的: ValueError: 坏了" in complaint


def test_the_answers_before_an_exception_are_kept(f2r: Run, chats: Path) -> None:
    each = "def each(self, requests): yield found(requests[0], Fragment()); raise ValueError('坏了')"
    complaint = f2r("eval", "-m", write(each=each), "-t", chats, "--quiet").complaint()
    assert "我的.py:11: 我的: ValueError: 坏了; the answers before it are kept" in complaint
    [answers] = Path("runs").rglob("answers.jsonl")
    assert len(answers.read_text(encoding="utf-8").splitlines()) == 1


def test_the_place_may_be_in_a_module_beside_the_file(f2r: Run, chats: Path) -> None:
    Path("助手.py").write_text("def help(): 1 / 0\n", encoding="utf-8")
    model = write(**{"import": "import 助手", "made": "def made(self, request): 助手.help()"})
    complaint = f2r("eval", "-m", model, "-t", chats, "--quiet").complaint()
    assert "助手.py:1: 我的: ZeroDivisionError" in complaint
