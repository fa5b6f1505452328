"""Probes: what they change, what they leave, and that the gold answer goes along."""

import os
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from official import PICTURE, answer, content, record

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image
from f2rcli.tasks.predictions import parse_prediction, prediction_line
from f2rcli.tasks.probes import Probe
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.tags import render_content
from f2rcli.tasks.types import Dialogue, Fragment, Image, Query, Request, Utterance

SHUFFLES = ("shuffle-image-ids", "shuffle-turns")
TYPED = "<|img_id_start|>3<|img_id_end|><image>"  # somebody typed a picture


def request(*turns: str, gold: str = answer(), query: str = "小猫") -> Request:
    parsed = parse_record(record(*turns, gold=gold, query=query))
    assert parsed.problems == []
    return replace(parsed.requests[0], id="对话:0")


def test_two_image_ids_are_exchanged_and_the_pictures_stay_where_they_are() -> None:
    asked = request("甲: 看 🖼", "乙: <image>可爱", f"甲: {PICTURE}？", gold=answer([0, 2], [0]))
    probed = Probe("shuffle-image-ids").apply(asked)
    tag = "<|img_id_start|>{}<|img_id_end|><image>"
    before = content("甲: 看 🖼", "乙: <image>可爱", "甲: 🖼？")
    swapped = before.replace(tag.format(0), "A").replace(tag.format(1), tag.format(0))
    assert render_content(probed.prompt) == swapped.replace("A", tag.format(1))
    assert probed.dialogue.images == (Image(0, "图片/1.jpg"), Image(1, "图片/0.jpg"))
    assert [u.images for u in probed.dialogue.utterances] == [(1,), (), (0,)]
    assert probed.gold == Fragment(frozenset({0, 2}), frozenset({1}))


def test_two_turns_are_exchanged_and_numbered_in_their_new_order() -> None:
    asked = request("甲: 看 🖼🖼", "乙: 好的<image>", gold=answer([0], [1]))
    probed = Probe("shuffle-turns").apply(asked)
    assert render_content(probed.prompt) == content("乙: 好的<image>", "甲: 看 🖼🖼")
    assert probed.dialogue.utterances == (
        Utterance(0, "乙", "好的<image>"),
        Utterance(1, "甲", "看", (0, 1)),
    )
    assert probed.dialogue.images == asked.dialogue.images
    assert probed.gold == Fragment(frozenset({1}), frozenset({1}))


def test_pictures_are_numbered_in_the_order_in_which_they_now_appear() -> None:
    asked = request("甲: 🖼", "乙: 🖼🖼", gold=answer([1], [2]))
    probed = Probe("shuffle-turns").apply(asked)
    assert render_content(probed.prompt) == content("乙: 🖼🖼", "甲: 🖼")
    assert [image.path for image in probed.dialogue.images] == [f"图片/{k}.jpg" for k in (1, 2, 0)]
    assert probed.gold == Fragment(frozenset({0}), frozenset({1}))


def test_the_last_turn_of_our_prompts_has_no_line_break_and_keeps_none() -> None:
    images = (Image(0, "a.png"),)
    chat = Dialogue("聊天", (Utterance(3, "甲", "你好"), Utterance(4, "乙", "", (0,))), images)
    template = PromptTemplate({"": "找{query}：\n{dialogue}\n只写编号"})
    asked = Request("r", chat, Query("猫"), template.render("猫", chat), Fragment(frozenset({4})))
    probed = Probe("shuffle-turns").apply(asked)
    assert render_content(probed.prompt) == (
        "找猫：\n<|utt_id_start|>3<|utt_id_end|> 乙: <|img_id_start|>0<|img_id_end|><image>\n"
        "<|utt_id_start|>4<|utt_id_end|> 甲: 你好\n只写编号"
    )
    assert probed.gold == Fragment(frozenset({3}))


def test_text_only_leaves_the_tags_and_what_people_typed() -> None:
    asked = request("甲: 看 🖼🖼", "乙: 我打了 <image> 哈哈", gold=answer([0], [1]))
    probed = Probe("text-only").apply(asked)
    text = content(
        "甲: 看 <|img_id_start|>0<|img_id_end|><|img_id_start|>1<|img_id_end|>",
        "乙: 我打了 <image> 哈哈",
    )
    assert list(probed.prompt.parts()) == [text]
    assert probed.gold == asked.gold
    assert probed.dialogue == asked.dialogue
    # A prediction's line is the record's; the probe is named in it.
    line, plain = (prediction_line(one, "", {}) for one in (probed, asked))
    assert (line["messages"], line["images"]) == (plain["messages"], plain["images"])
    assert line["f2r"] == {**plain["f2r"], "probe": "text-only", "origin": asked.digest}


def test_another_seed_is_another_order() -> None:
    asked = request(*(f"甲: 第{n}句 🖼" for n in range(8)))
    for name in SHUFFLES:
        assert len({Probe(name, seed).apply(asked).digest for seed in range(6)}) == 6


def test_a_picture_that_somebody_typed_is_none_under_new_numbers() -> None:
    """Typed as number 3 where 0 is the next one: 3 may be the next one when numbers are shuffled."""
    asked = request(f"甲: {TYPED} 🖼", *["乙: 🖼"] * 3, gold=answer([0], [0]))
    for seed in range(20):
        probed = Probe("shuffle-image-ids", seed).apply(asked)
        read = parse_record(prediction_line(probed, "", {}))
        assert read.problems == []
        assert read.requests[0].dialogue.images == probed.dialogue.images


def test_gold_ids_that_the_dialogue_lacks_are_lacking_afterwards() -> None:
    asked = request("甲: 🖼", "乙: 🖼", gold=answer([0, 9], [0, 7]))
    moved = Fragment(frozenset({1, 9}), frozenset({1, 7}))
    assert Probe("shuffle-turns").apply(asked).gold == moved
    renumbered = Fragment(frozenset({0, 9}), frozenset({1, 7}))
    assert Probe("shuffle-image-ids").apply(asked).gold == renumbered


def test_ids_that_do_not_start_at_0_stay_the_dialogues_ids() -> None:
    message = content("甲: 一", "乙: 二", "甲: 三", start=57)
    made = record("甲: 一", "乙: 二", "甲: 三", gold=answer([58]))
    made["messages"][0]["content"] = message
    [asked] = parse_record(made).requests
    probed = Probe("shuffle-turns").apply(asked)
    said = {u.id: u.text for u in probed.dialogue.utterances}
    assert list(said) == [57, 58, 59]
    assert probed.gold
    assert [said[number] for number in probed.gold.utterances] == ["二"]


def test_a_prompt_that_asks_after_the_dialogue_is_refused_where_turns_move() -> None:
    chat = request("甲: 你好", "乙: 🖼", "甲: 🖼").dialogue
    after = PromptTemplate({"": "{dialogue}\n找 <|query_start|>{query}<|query_end|>"})
    made = record("甲: 你好", "乙: 🖼", "甲: 🖼")
    made["messages"][0]["content"] = render_content(after.render("小猫", chat))
    parsed = parse_record(made)
    assert parsed.problems == []
    asked = replace(parsed.requests[0], where="a.jsonl:3")
    with pytest.raises(InputError, match=r"^a\.jsonl:3: asks after the dialogue.*--prompt"):
        Probe("shuffle-turns").apply(asked)
    assert Probe("shuffle-image-ids").apply(asked).digest != asked.digest
    ours = after.apply(asked)  # here the question is known to be the prompt's
    assert Probe("shuffle-turns").apply(ours).prompt.tail == ours.prompt.tail


@pytest.mark.parametrize("order", ["2, 1", [0, 2], [1, 0.0], {"0": 1}])
def test_an_order_of_images_that_is_none_is_refused(order: object) -> None:
    line = prediction_line(Probe("shuffle-image-ids").apply(request("甲: 🖼", "乙: 🖼")), "", {})
    assert line["f2r"]["image_order"] == [1, 0]
    line["f2r"]["image_order"] = order
    with pytest.raises(InputError, match="image_order"):
        parse_prediction(line, "")
    assert "image_order" in parse_record(line).problems[0]


def with_pictures(*files: Path) -> Request:
    asked = request(*(["甲: 🖼"] * len(files)))
    images = tuple(Image(i, file.name, str(file)) for i, file in enumerate(files))
    return replace(asked, dialogue=replace(asked.dialogue, images=images))


def test_blank_pictures_are_grey_and_as_large(tmp_path: Path) -> None:
    photo = PIL.Image.new("RGB", (6, 4), "red")
    photo.save(tmp_path / "甲.png")
    for orientation in (1, 3, 6, 8):
        exif = PIL.Image.Exif()
        exif[0x112] = orientation
        photo.save(tmp_path / f"{orientation}.jpg", exif=exif)
    files = [tmp_path / name for name in ("甲.png", "1.jpg", "3.jpg", "6.jpg", "8.jpg")]
    probe = Probe("blank-images")
    probed = probe.seen(probe.apply(with_pictures(*files)))
    seen = [open_image(image.file or "") for image in probed.dialogue.images]
    assert [image.size for image in seen] == [open_image(file).size for file in files]
    assert [image.size for image in seen] == [(6, 4)] * 3 + [(4, 6)] * 2
    assert [image.getcolors() for image in seen] == [[(24, (128, 128, 128))]] * 5
    assert [image.path for image in probed.dialogue.images] == [file.name for file in files]
    assert probe.seen(probed) == probed


def test_a_picture_that_cannot_be_read_stays_and_fails_as_it_would(tmp_path: Path) -> None:
    file = tmp_path / "坏.png"
    file.write_text("没有图片", encoding="utf-8")
    asked = with_pictures(file)
    assert Probe("blank-images").seen(asked) == asked


def test_other_probes_show_the_pictures_that_there_are(tmp_path: Path) -> None:
    asked = with_pictures(tmp_path / "没有.png")
    for name in SHUFFLES:
        assert Probe(name).seen(asked) == asked


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "占了").touch()
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "占了"))
    PIL.Image.new("RGB", (6, 4)).save(tmp_path / "甲.png")
    with pytest.raises(InputError, match="F2R_CACHE") as caught:
        Probe("blank-images").seen(with_pictures(tmp_path / "甲.png"))
    assert str(caught.value).startswith(os.environ["F2R_CACHE"])
