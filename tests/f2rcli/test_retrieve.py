"""f2r retrieve: one question about one's own chat."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
import pytest

Run = Callable[..., Any]


def test_a_question_about_the_example_chat_in_chinese(f2r: Run, example: Path) -> None:
    ended = f2r("retrieve", "--model", "bm25", example, "面馆", "--id", "周末聊天")
    assert (ended.code, ended.err) == (0, "")
    said = [line.split(maxsplit=1) for line in ended.out.splitlines()]
    assert [int(number) for number, _ in said] == sorted(int(number) for number, _ in said)
    assert {"0", "10"} <= {number for number, _ in said}
    assert all("面" in text or "馆" in text for _, text in said)
    assert said[0] == ["0", "小林: 昨天那家面馆怎么样？"]


def test_a_question_about_the_example_chat_in_english(f2r: Run, example: Path) -> None:
    ended = f2r("retrieve", "-m", "bm25", example, "camping tent", "--id", "weekend")
    assert "camping" in ended.out


def test_the_fragment_as_json(f2r: Run, example: Path) -> None:
    ended = f2r("retrieve", "-m", "everything", example, "什么", "--id", "周末聊天", "--json")
    assert json.loads(ended.out) == {"utterances": list(range(16)), "images": [0, 1, 2]}
    nothing = f2r("retrieve", "-m", "nothing", example, "什么", "--id", "周末聊天", "--json")
    assert json.loads(nothing.out) == {"utterances": [], "images": []}


def test_pictures_are_shown_with_their_files(f2r: Run, example: Path) -> None:
    ended = f2r("retrieve", "-m", "everything", example, "什么", "--id", "周末聊天")
    assert "[image 0] images/noodles.png" in ended.out


def test_nothing_found_is_said_and_fine(f2r: Run, chats: Path) -> None:
    ended = f2r("retrieve", "-m", "bm25", chats, "xyz")
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert "nothing" in ended.out


def test_a_chat_without_any_query_of_its_own_will_do(f2r: Run, chats: Path) -> None:
    chat = {k: v for k, v in handmade.chat().items() if k in ("dialogue",)}
    Path("我的聊天.json").write_text(json.dumps(chat, ensure_ascii=False), encoding="utf-8")
    ended = f2r("retrieve", "-m", "bm25", "我的聊天.json", "露营的第5句话", "--json")
    assert 5 in json.loads(ended.out)["utterances"]


def test_the_model_is_asked_in_the_querys_language(
    f2r: Run, chats: Path, model: Callable[[str], str]
) -> None:
    name = model("yield Retrieval(request.id, failure=Failure('refused', request.prompt.head[:40]))")
    assert "聊天记录" in f2r("retrieve", "-m", name, chats, "帐篷").err
    assert "chat" in f2r("retrieve", "-m", name, chats, "tent").err
    assert "聊天记录" in f2r("retrieve", "-m", name, chats, "tent", "--prompt", "zh").err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("failure=Failure('error', '服务器忙')", "error: 服务器忙"),
        ("text='我不知道'", "我不知道"),
    ],
)
def test_a_failure_is_exit_code_3_and_told(
    f2r: Run, chats: Path, model: Callable[[str], str], said: str, told: str
) -> None:
    ended = f2r("retrieve", "-m", model(f"yield Retrieval(request.id, {said})"), chats, "帐篷")
    assert ended.code == 3
    assert ended.out == ""
    [line] = ended.err.splitlines()
    assert line.startswith("f2r: ")
    assert told in line


def test_a_failure_of_several_lines_is_told_in_one(
    f2r: Run, chats: Path, model: Callable[[str], str]
) -> None:
    name = model("yield Retrieval(request.id, failure=Failure('error', 'first\\nsecond'))")
    ended = f2r("retrieve", "-m", name, chats, "帐篷")
    assert ended.err.count("\n") == 1


def test_a_long_chat_is_cut_for_a_model_that_needs_it(
    f2r: Run, tmp_path: Path, model: Callable[[str], str]
) -> None:
    long = handmade.write_chats(tmp_path / "长", handmade.chat(turns=130, pictures=(3, 120)))
    name = model(
        "yield found(request, Fragment(frozenset({request.dialogue.utterances[-1].id}), frozenset({0})))"
    )
    file = Path(name.rpartition(":")[0])
    file.write_text(file.read_text().replace("uses_images = False", "max_turns = 100"))
    ended = f2r("retrieve", "-m", name, long, "帐篷", "--json")
    assert json.loads(ended.out) == {"utterances": [64, 129], "images": [0, 1]}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("没有.json", "帐篷"), "没有.json"),
        (("EXAMPLE", "帐篷"), "--id"),  # two chats in it
        (("EXAMPLE", "帐篷", "--id", "没有"), "no dialogue '没有'"),
        (("CHATS", "  "), "query is empty"),
        (("CHATS", "帐篷", "--prompt", "没有.txt"), "没有.txt"),
        (("CHATS",), "QUERY"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    f2r: Run, chats: Path, example: Path, args: tuple[str, ...], said: str
) -> None:
    places = {"CHATS": chats, "EXAMPLE": example}
    ended = f2r("retrieve", "-m", "bm25", *(places.get(arg, arg) for arg in args))
    assert said in ended.complaint()
    assert ended.out == ""


def test_the_gold_answers_row_has_none_for_ones_own_chat(f2r: Run, chats: Path) -> None:
    assert "gold" in f2r("retrieve", "-m", "oracle", chats, "帐篷").complaint()


def test_a_missing_picture_is_named_where_the_model_looks_at_it(
    f2r: Run, chats: Path, model: Callable[[str], str]
) -> None:
    name = model("yield found(request, Fragment())")
    file = Path(name.rpartition(":")[0])
    file.write_text(file.read_text().replace("uses_images = False", "uses_images = True"))
    (chats.parent / "图片/7.png").unlink()
    assert "图片/7.png" in f2r("retrieve", "-m", name, chats, "帐篷").complaint()
    assert f2r("retrieve", "-m", "bm25", chats, "帐篷").code == 0


def test_an_adapter_needs_a_checkpoint(f2r: Run, chats: Path) -> None:
    ended = f2r("retrieve", "--adapter", "微调", "-m", "bm25", chats, "帐篷")
    assert ended.complaint().startswith("--adapter needs a model that is a checkpoint")
