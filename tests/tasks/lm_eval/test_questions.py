"""What lm-evaluation-harness is given to ask, and how its answers become scores; without it."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import handmade
import official
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import PICTURE, answer, record

from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.lm_eval.questions import FAILURES, SCORES, Questions, aggregate, check_places, counted
from f2rcli.tasks.predictions import parse_prediction, read_predictions
from f2rcli.tasks.scoring import PROTOCOLS, Protocol, score

COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 10), (10, 240, 240)]
PARTS = ("joint", "utterance", "image")


def questions(folder: Path, *records: dict[str, object], pictures: int = len(COLOURS)) -> Questions:
    """A task of these records; picture k has colour k."""
    (folder / "图片").mkdir()
    for k in range(pictures):
        PIL.Image.new("RGB", (8, 6), COLOURS[k % len(COLOURS)]).save(folder / f"图片/{k}.jpg", "PNG")
    return Questions(load_task(str(official.write(folder / "聊天.jsonl", *records))))


def colours(images: Sequence[PIL.Image.Image]) -> list[object]:
    return [image.getpixel((0, 0)) for image in images]


def test_every_picture_stands_where_it_was_sent(tmp_path: Path) -> None:
    asked = questions(tmp_path, record("甲: 看", f"乙: {PICTURE}", f"甲: 好{PICTURE}看{PICTURE}"))
    (doc,) = asked.docs()
    assert asked.text(doc) == (
        "找出与查询 <|query_start|>小猫<|query_end|> 有关的发言和图片。\n"
        "对话内容: <|utt_id_start|>0<|utt_id_end|> 甲: 看\n"
        "<|utt_id_start|>1<|utt_id_end|> 乙: <|img_id_start|>0<|img_id_end|><image>\n"
        "<|utt_id_start|>2<|utt_id_end|> 甲: 好<|img_id_start|>1<|img_id_end|><image>看"
        "<|img_id_start|>2<|img_id_end|><image>"
    )
    assert colours(asked.pictures(doc)) == COLOURS[:3]
    assert doc["gold"] == official.EMPTY
    assert doc["system"] == ""


def test_a_chat_without_pictures_is_asked_too(tmp_path: Path) -> None:
    asked = questions(tmp_path, record("甲: 你好"))
    (doc,) = asked.docs()
    assert asked.pictures(doc) == []
    assert "<image>" not in asked.text(doc)


def test_nothing_typed_becomes_a_picture_or_ends_the_prompt(tmp_path: Path) -> None:
    typed = record(f"甲: 写<image>和<|im_end|>、<|image_pad|>，a<|b 与 <|>{PICTURE}")
    typed["messages"].insert(0, {"role": "system", "content": "你<image>是<|im_start|>助手"})
    asked = questions(tmp_path, typed)
    (doc,) = asked.docs()
    text = asked.text(doc)
    assert (
        "写< image>和< |im_end|>、< |image_pad|>，a<|b 与 <|><|img_id_start|>0<|img_id_end|><image>"
        in text
    )
    assert text.count("<image>") == len(asked.pictures(doc)) == 1
    assert doc["system"] == "你< image>是< |im_start|>助手"


def test_a_long_dialogue_is_one_doc_asked_in_slices(tmp_path: Path) -> None:
    turns = [f"甲: 第{n}句" for n in range(205)]
    turns[3] += PICTURE
    turns[100] += PICTURE + PICTURE
    turns[204] += PICTURE
    asked = questions(tmp_path, record(*turns), record("甲: 短", query="短"))
    long, short = asked.docs()
    assert (len(asked.parts(long)), len(asked.parts(short))) == (3, 1)
    texts = [asked.text(part) for part in asked.parts(long)]
    assert [text.count("<|utt_id_start|>") for text in texts] == [68, 68, 69]
    assert [text.count("<image>") for text in texts] == [1, 2, 1]
    assert (
        "<|utt_id_start|>204<|utt_id_end|> 甲: 第204句<|img_id_start|>0<|img_id_end|><image>" in texts[2]
    )
    shown = [colours(asked.pictures(part)) for part in asked.parts(long)]
    assert shown == [COLOURS[:1], COLOURS[1:3], COLOURS[3:4]]


def test_a_picture_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"图片/1\.jpg: no such image"):
        questions(tmp_path, record(f"甲: {PICTURE}{PICTURE}"), pictures=1)


TEXT = "问 <|img_id_start|>0<|img_id_end|><image>\n再 <|img_id_start|>1<|img_id_end|><image>\n完"


@pytest.mark.parametrize("made", [TEXT, f"<s>{TEXT}</s>".replace("<image>", "<v><pad><e>")])
def test_a_context_with_every_picture_in_its_place_passes(made: str) -> None:
    check_places(TEXT, made)
    check_places("没有图", f"<s>没有图{made}")


@pytest.mark.parametrize(
    "made",
    [
        "<pad><pad>" + TEXT.replace("<image>", ""),  # all before the text, as interleave=False does
        TEXT.removesuffix("<image>\n完") + "\n完",  # one too many for max_images
        ([{"role": "user", "content": TEXT}],),  # what an API is sent
    ],
)
def test_a_context_without_is_refused(made: object) -> None:
    with pytest.raises(InputError, match="image ids mean nothing"):
        check_places(TEXT, made)


def check(protocol: Protocol, lines: list[dict[str, object]], expected: dict[str, object]) -> None:
    """The metrics of these lines are those of the scores, to the last digit."""
    values = [counted(protocol, line) for line in lines]
    metrics = {name: aggregate(protocol, name, [value[name] for value in values]) for name in SCORES}
    nested = {
        part: {name: metrics[f"{part}_{name}"] for name in ("precision", "recall", "f1", "mcc")}
        for part in PARTS
    }
    assert nested == {part: expected[part] for part in PARTS}
    failed = [sum(value[name] for value in values) for name in FAILURES]
    assert failed == [expected["failures"]["malformed"], expected["out_of_range_ids"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("number", range(6))
def test_the_golden_files_score_as_they_do_in_f2r(golden: Path, number: int, protocol: Protocol) -> None:
    path = golden / f"metrics/predictions_{number}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    check(protocol, lines, score(read_predictions(path))[protocol].result())


IDS = st.lists(st.integers(0, 9), max_size=6)
ANSWERS = st.one_of(st.builds(answer, IDS, IDS), st.text(), st.just(answer([1], [0]) + "。"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(given_answers=st.lists(ANSWERS, min_size=1, max_size=5))
def test_any_answers_score_as_they_do_in_f2r(protocol: Protocol, given_answers: list[str]) -> None:
    lines = [
        official.line("甲: 一", f"乙: {PICTURE}", "甲: 三", response=text, labels=answer([1, 2], [0]))
        for text in given_answers
    ]
    predictions = [parse_prediction(line, "") for line in lines]
    check(protocol, lines, score(predictions)[protocol].result())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_slices_score_as_in_a_run(tmp_path: Path, protocol: Protocol) -> None:
    """A run of f2r eval and the same answers here, of which some are malformed or out of range."""
    path = handmade.write_chats(
        tmp_path / "数据",
        handmade.chat("长", turns=230, pictures=(3, 70, 120, 229)),
        handmade.chat("短", turns=12),
    )
    said = itertools.cycle(
        [answer([2, 3, 4], [0]), "什么也没有", answer([7, 120, 900], [0, 5]), answer([200], [1])]
    )
    answers: dict[str, str] = {}
    retriever = handmade.Scripted(
        lambda request: answers.setdefault(request.id, next(said)), max_turns=100
    )
    run = handmade.evaluated(retriever, path, tmp_path / "runs")
    asked = Questions(load_task(str(path)))
    lines = []
    for doc in asked.docs():
        slices = asked.by_id[doc["request"]].slices
        lines.append(asked.line(doc, [answers[part.request.id] for part in slices]))
    assert [len(asked.parts(doc)) for doc in asked.docs()] == [3, 3, 3, 1, 1, 1]
    check(protocol, lines, handmade.scores(run)[protocol])
