"""Prompts: our own, the user's, and the one of a record."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import content, record, write

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.prompts import PromptTemplate, choose_template
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.tags import parse_content, render_content
from f2rcli.tasks.types import Dialogue, Image, Utterance

CHAT = Dialogue(
    "周末", (Utterance(0, "小林", "你好🐱"), Utterance(1, "阿梅", "看", (0,))), (Image(0, "a.jpg"),)
)


@pytest.mark.parametrize(
    ("query", "language"),
    [("小猫", "zh"), ("the cat 猫", "zh"), ("the cat", "en"), ("🐱", "en"), ("", "en")],
)
def test_the_language_is_that_of_the_query(query: str, language: str) -> None:
    chosen = PromptTemplate.by_language().render(query, CHAT)
    assert chosen == PromptTemplate.load(language).render(query, CHAT)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_our_prompts_are_in_the_official_form(language: str) -> None:
    parsed = parse_content(render_content(PromptTemplate.load(language).render("小猫", CHAT)))
    assert (parsed.problems, parsed.warnings) == ([], [])
    assert parsed.query == "小猫"
    assert parsed.utterances == CHAT.utterances


def test_a_prompt_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "提示.txt"
    path.write_text("\ufeff问 {query}，再问 {query}：\n{dialogue}\n完 {query}。\n", encoding="utf-8")
    prompt = PromptTemplate.load(str(path)).render("小猫", CHAT)
    assert render_content(prompt) == (
        "问 小猫，再问 小猫：\n"
        "<|utt_id_start|>0<|utt_id_end|> 小林: 你好🐱\n"
        "<|utt_id_start|>1<|utt_id_end|> 阿梅: 看 <|img_id_start|>0<|img_id_end|><image>"
        "\n完 小猫。"
    )
    assert (len(prompt.turns), prompt.tail, prompt.system) == (2, "\n完 小猫。", None)


@given(st.text())
def test_a_query_cannot_break_out_of_its_place(query: str) -> None:
    template = PromptTemplate({"": "<|query_start|>{query}<|query_end|>\n{dialogue}\n尾"})
    prompt = template.render(query + "{dialogue}{query}<|query_end|>", CHAT)
    assert prompt.head.count("<|query_end|>") == 1
    assert prompt.head.endswith("{dialogue}{query}< |query_end|><|query_end|>\n")
    assert prompt.tail == "\n尾"


@pytest.mark.parametrize(
    "text", ["{query}", "{dialogue}", "{query} {dialogue} {dialogue}", "", "{ query } {dialogue}"]
)
def test_a_prompt_needs_its_places(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        PromptTemplate.load(str(path))
    assert str(caught.value) == f"{path}: a prompt needs {{query}} and, exactly once, {{dialogue}}"


@pytest.mark.parametrize(
    "text",
    [
        "{query}，例：<|utt_id_start|>7<|utt_id_end|> 小林: 好\n{dialogue}",
        "例 <|utt_id_start|>7<|utt_id_end|>\n<|query_start|>{query}<|query_end|>\n{dialogue}",
        "<|query_start|>{query}<|query_end|>，如 <|utt_id_start|>7<|utt_id_end|>\n{dialogue}",
        "{query}\n{dialogue}\n<|utt_id_start|>7<|utt_id_end|> 小林: 好",
        "{query}\n{dialogue}\n如 <|img_id_start|>1<|img_id_end|><image>",
    ],
)
def test_a_prompt_with_a_numbered_example_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        PromptTemplate.load(str(path))
    line = str(caught.value)
    assert line.startswith(f"{path}: the prompt itself has an utterance's or image's tag in it; ")
    assert "\n" not in line


def test_a_prompt_may_show_the_form_of_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("{query}，答 <|utt_ids_start|>[1, 2]<|utt_ids_end|>\n{dialogue}", encoding="utf-8")
    assert len(PromptTemplate.load(str(path)).render("小猫", CHAT).turns) == 2


def test_a_prompt_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        PromptTemplate.load(f"{tmp_path}/fr")
    assert str(caught.value) == (
        f"{tmp_path}/fr: no such prompt (No such file or directory); give en, zh or a text file"
    )


def test_a_prompt_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_bytes("{query} {dialogue}".encode("utf-16"))
    with pytest.raises(InputError) as caught:
        PromptTemplate.load(str(path))
    assert str(caught.value) == f"{path}: not UTF-8; save the prompt as UTF-8"


def test_the_prompt_of_a_record_serves_other_dialogues(tmp_path: Path) -> None:
    made = record("user1: 你好", query="小狗")
    made["messages"].insert(0, {"role": "system", "content": "系统"})
    prompt = PromptTemplate.from_record(write(tmp_path / "a.jsonl", made)).render("小猫", CHAT)
    assert prompt.system == "系统"
    assert render_content(prompt) == content("小林: 你好🐱", "阿梅: 看 🖼", query="小猫")


def test_the_prompt_of_a_record_gives_the_record_back(golden: Path) -> None:
    path = golden / "sliding/original.json"
    template = PromptTemplate.from_record(path)
    for made in json.loads(path.read_text(encoding="utf-8")):
        [request] = parse_record(made).requests
        applied = template.apply(request)
        assert render_content(applied.prompt) == render_content(request.prompt)
        assert applied.prompt.system == request.prompt.system
        assert (applied.gold, applied.dialogue) == (request.gold, request.dialogue)


@pytest.mark.parametrize("gap", ["", " "])
@pytest.mark.parametrize("first", ["你好", "🖼"])
def test_the_gap_before_pictures_is_as_recorded(gap: str, first: str, tmp_path: Path) -> None:
    made = record(f"user1: {first}", f"user2: 看{gap}🖼", "user1: 🖼", f"user2: 可爱{gap}🖼🖼")
    template = PromptTemplate.from_record(write(tmp_path / "a.jsonl", made))
    [asked] = parse_record(made).requests
    assert render_content(template.apply(asked).prompt) == made["messages"][0]["content"]
    assert f"看{gap}<|img_id_start|>0" in render_content(template.render("小猫", CHAT))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([], ":1 (record 0): the file is empty; `f2r data check {path}` lists every problem"),
        ([{"dialogue": []}], ": not a file of official records"),
        ([[1]], ": not a file of official records"),
        (
            [record("user1: 你好", images=["a.jpg"])],
            ": no prompt can be taken from its first record: "
            "1 in images but 0 image tags in order in the text",
        ),
    ],
)
def test_a_file_without_a_prompt(values: list[object], problem: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *values)
    with pytest.raises(InputError) as caught:
        PromptTemplate.from_record(path)
    assert str(caught.value) == str(path) + problem.format(path=path)


def test_the_options_exclude_each_other(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", record("user1: 你好"))
    assert choose_template(None, None) is None
    assert choose_template("zh", None) == PromptTemplate.load("zh")
    assert choose_template(None, path) == PromptTemplate.from_record(path)
    with pytest.raises(InputError) as caught:
        choose_template("zh", path)
    assert str(caught.value) == "--prompt and --prompt-from exclude each other"
