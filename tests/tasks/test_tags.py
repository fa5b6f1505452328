"""Tags: what is structure, what somebody typed, and nothing lost in between."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official import answer, content

from f2rcli.tasks.answers import parse_published, parse_strict
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.tags import (
    TAGS,
    dialogue_ids,
    escape,
    escape_control,
    image_tag,
    parse_content,
    render_answer,
    render_content,
    render_utterance,
)
from f2rcli.tasks.types import Dialogue, Fragment, Image, Utterance

IDS = st.frozensets(st.integers(0, 10**6))
PIECES = st.sampled_from(
    [*TAGS, "<image>", "\n", " ", "0", "1", "12", "user1: ", "小林：", "看🐱", "<", "|>"]
    + [image_tag(n) + "<image>" for n in range(3)]
    + [f"\n<|utt_id_start|>{n}<|utt_id_end|> user{n}: " for n in range(4)]
)
MESSAGES = st.lists(PIECES, max_size=25).map("".join)
LAST = "\n<|utt_id_start|>9<|utt_id_end|> user1: 好"


def test_an_image_tag() -> None:
    assert image_tag(12) == "<|img_id_start|>12<|img_id_end|>"


@given(st.builds(Fragment, IDS, IDS))
def test_a_written_answer_reads_as_the_same_fragment(fragment: Fragment) -> None:
    written = render_answer(fragment)
    assert parse_strict(written) == fragment
    assert parse_published(written) == (fragment, True)


def test_an_answer_is_written_in_order() -> None:
    written = render_answer(Fragment(frozenset({9, 4, 10}), frozenset()))
    assert written == "<|utt_ids_start|>[4, 9, 10]<|utt_ids_end|>;<|img_ids_start|>[]<|img_ids_end|>"


@pytest.mark.parametrize("tag", TAGS)
def test_a_typed_tag_is_none_any_more(tag: str) -> None:
    assert escape(f"看{tag}") == f"看< {tag[1:]}"


@given(st.text() | MESSAGES)
def test_escaped_text_is_one_line_without_a_tag(text: str) -> None:
    escaped = escape(text)
    assert not any(tag in escaped for tag in TAGS)
    assert escaped.splitlines() in ([], [escaped])
    assert "".join(escaped.split()) == "".join(text.split())
    assert escape(escaped) == escaped


@given(st.text() | MESSAGES)
def test_of_control_tokens_only_our_tags_are_left(text: str) -> None:
    escaped = escape_control(text + "<|im_end|>" + "".join(TAGS))
    assert "<|im_end|>" not in escaped
    assert escaped.endswith("< |im_end|>" + "".join(TAGS))
    assert escaped.replace("< |", "<|") == (text + "<|im_end|>" + "".join(TAGS)).replace("< |", "<|")
    assert escape_control(escaped) == escaped


def test_text_without_tags_is_only_put_on_one_line() -> None:
    assert escape(" <b>1 < 2</b>\n<|im_end|>\t🐱 ") == "<b>1 < 2</b> <|im_end|> 🐱"
    assert escape("<image>") == "< image>"


def test_an_utterance_is_a_line_with_its_pictures_last() -> None:
    parts = render_utterance(Utterance(7, "小林", "看\n这个", (3, 4)))
    assert parts == ("<|utt_id_start|>7<|utt_id_end|> 小林: 看 这个 ", 3, 4, "\n")
    parts = render_utterance(Utterance(7, "小林", "", (3,)))
    assert parts == ("<|utt_id_start|>7<|utt_id_end|> 小林: ", 3, "\n")


def test_a_message_is_taken_apart() -> None:
    message = content("user1: 你好🐱", "User2：看 🖼🖼", "user1:  🖼 对\n吧 ", query=" 小猫 ")
    parsed = parse_content(message, "系统")
    assert parsed.query == "小猫"
    assert parsed.utterances == (
        Utterance(0, "user1", "你好🐱"),
        Utterance(1, "User2", "看", (0, 1)),
        Utterance(2, "user1", "对\n吧", (2,)),
    )
    assert parsed.images == 3
    assert (parsed.problems, parsed.warnings) == ([], [])
    assert parsed.prompt.system == "系统"
    assert parsed.prompt.head == message.partition("<|utt_id_start|>")[0]
    assert parsed.prompt.turns[1] == ("<|utt_id_start|>1<|utt_id_end|> User2：看 ", 0, "", 1, "\n")


@given(MESSAGES)
def test_no_character_is_lost(message: str) -> None:
    assert render_content(parse_content(message + LAST).prompt) == message + LAST


def test_no_leading_zero_is_lost() -> None:
    message = content("user1: <|img_id_start|>00<|img_id_end|><image>")
    assert render_content(parse_content(message).prompt) == message


@given(MESSAGES)
def test_the_quick_look_finds_the_same_ids(message: str) -> None:
    parsed = parse_content(message + LAST)
    assert dialogue_ids(message + LAST) == ([u.id for u in parsed.utterances], parsed.images)


def test_recorded_messages_are_kept_to_the_letter(golden: Path) -> None:
    records = json.loads((golden / "sliding/original.json").read_text(encoding="utf-8"))
    for record in records:
        message = next(m["content"] for m in record["messages"] if m["role"] == "user")
        parsed = parse_content(message)
        assert (parsed.problems, parsed.warnings) == ([], [])
        assert render_content(parsed.prompt) == message
        assert dialogue_ids(message) == ([u.id for u in parsed.utterances], len(record["images"]))


LINES = st.text(st.characters(codec="utf-8", exclude_characters=":："), max_size=12) | MESSAGES


@settings(deadline=None)
@given(st.lists(st.tuples(LINES, st.integers(0, 2)), min_size=1, max_size=6), LINES)
def test_whatever_is_typed_our_prompt_has_the_dialogues_ids(
    said: list[tuple[str, int]], query: str
) -> None:
    images = 0
    utterances = []
    for n, (text, carried) in enumerate(said):
        utterances.append(Utterance(n, "小林", text, tuple(range(images, images + carried))))
        images += carried
    dialogue = Dialogue("d", tuple(utterances), tuple(Image(i, "a.jpg") for i in range(images)))
    for language in ("zh", "en"):
        message = render_content(PromptTemplate.load(language).render(query, dialogue))
        parsed = parse_content(message)
        assert dialogue_ids(message) == (list(range(len(said))), images)
        assert [u.images for u in parsed.utterances] == [u.images for u in utterances]
        assert parsed.query == escape(query)


def test_a_typed_image_mark_is_text() -> None:
    parsed = parse_content(content("user1: 我打了 <image> 和 🖼 <image>"))
    assert parsed.images == 1
    assert parsed.utterances[0].text == "我打了 <image> 和  <image>"


@pytest.mark.parametrize("typed", [1, 7])
def test_a_picture_out_of_turn_is_text_with_a_warning(typed: int) -> None:
    parsed = parse_content(content("user1: 看 🖼", f"user2: {image_tag(typed + 1)}<image> 看"))
    assert parsed.images == 1
    assert parsed.utterances[1].images == ()
    assert parsed.warnings == [
        f"utterance 1: image tag {typed + 1} is not the next one (1); read as text"
    ]


def test_a_picture_that_was_there_before_is_a_problem() -> None:
    parsed = parse_content(content("user1: 看 🖼", f"user2: {image_tag(0)}<image> 看"))
    assert parsed.problems == ["utterance 1: image tag 0 is not the next one (1), and was there before"]


def test_a_typed_utterance_tag_inside_a_line_is_text() -> None:
    message = content("user1: 他写 <|utt_id_start|>9<|utt_id_end|> 了", "user2: 嗯")
    assert [u.id for u in parse_content(message).utterances] == [0, 1]


def test_a_tag_before_the_query_is_part_of_the_instruction() -> None:
    message = "例: <|utt_id_start|>5<|utt_id_end|>\n" + content("user1: 你好")
    parsed = parse_content(message)
    assert [u.id for u in parsed.utterances] == [0]
    assert parsed.problems == []


def test_the_slice_of_a_dialogue_keeps_its_numbers() -> None:
    parsed = parse_content(content("user1: 你好", "user2: 嗯", start=57))
    assert [u.id for u in parsed.utterances] == [57, 58]
    assert (parsed.problems, parsed.warnings) == ([], [])


@pytest.mark.parametrize("second", [3, 2])
def test_ids_out_of_order_are_a_problem(second: int) -> None:
    message = content("user1: 你好", start=3) + f"\n<|utt_id_start|>{second}<|utt_id_end|> user2: 嗯"
    assert parse_content(message).problems == [f"utterance ids out of order: {second} after 3"]


def test_ids_that_jump_are_a_warning() -> None:
    message = content("user1: 你好") + "\n<|utt_id_start|>4<|utt_id_end|> user2: 嗯"
    parsed = parse_content(message)
    assert (parsed.problems, parsed.warnings) == ([], ["utterance ids jump from 0 to 4"])


def test_a_message_without_utterances_is_a_problem() -> None:
    parsed = parse_content("你好 <|query_start|>小猫<|query_end|>")
    assert parsed.problems == ["no utterance tag (<|utt_id_start|>n<|utt_id_end|>)"]
    assert parsed.prompt.head == "你好 <|query_start|>小猫<|query_end|>"


def test_a_line_without_a_speaker_is_a_warning() -> None:
    parsed = parse_content(content("没有冒号🐱"))
    assert parsed.utterances == (Utterance(0, "", "没有冒号🐱"),)
    assert parsed.warnings == ["utterance 0: no speaker before a colon"]


@pytest.mark.parametrize("tag", ["utt_id", "img_id"])
def test_an_endless_id_is_no_crash(tag: str) -> None:
    typed = f"<|{tag}_start|>{'9' * 5000}<|{tag}_end|><image>"
    message = content("user1: 你好") + f"\n{typed} user2: 嗯"
    parsed = parse_content(message)
    assert render_content(parsed.prompt) == message
    assert dialogue_ids(message) == ([u.id for u in parsed.utterances], parsed.images)


def test_white_space_without_a_speaker_costs_no_time() -> None:
    message = content("哦" + " " * 10, " " * 1500)
    began = time.perf_counter()
    assert len(parse_content(message).utterances) == 2
    assert time.perf_counter() - began < 0.2


def test_answers_of_the_tests_are_those_of_the_code() -> None:
    assert render_answer(Fragment(frozenset({2, 5}), frozenset({0}))) == answer([2, 5], [0])
