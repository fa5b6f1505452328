"""Chat templates that lose or move something: an error of the audit, and never a score."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from short_chats import picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
WRITE = "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ part['text'] }}{% endif %}"
PARTS = "{% for part in message['content'] %}" + WRITE + "{% endfor %}"
EVERYTHING = {"two", "none"}
IN_FRONT = (
    "{% for part in message['content'] if part['type'] == 'image' %}" + IMAGE + "{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
)
BEHIND = (
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'image' %}" + IMAGE + "{% endfor %}"
)
LOSING = {  # whatever is asked
    "cut at the start": PARTS.replace("['text']", "['text'][10:]"),
    "no text": PARTS.replace("{{ part['text'] }}", ""),
    "last part lost": PARTS.replace(WRITE, "{% if not loop.last %}" + WRITE + "{% endif %}"),
    "no pictures": PARTS.replace(IMAGE, ""),
    "pictures twice": PARTS.replace(IMAGE, IMAGE + IMAGE),
}
SPOILING = {  # only what is long, or has a certain word in it
    "cut at the end": PARTS.replace("['text']", "['text'][:60]"),
    "another word": PARTS.replace("['text']", "['text'] | replace('甲', '乙')"),
}
MOVING = {  # parts; but a text with pictures written into it stays as it is
    "first part only": PARTS.replace(WRITE, "{% if loop.first %}" + WRITE + "{% endif %}"),
    "one picture lost": PARTS.replace(IMAGE, "{% if loop.index < 3 %}" + IMAGE + "{% endif %}"),
    "pictures first": IN_FRONT,
    "pictures last": BEHIND,
    "backwards": PARTS.replace("message['content']", "message['content'] | reverse"),
}


@pytest.fixture
def chats(tmp_path: Path) -> list[Request]:
    """A chat with two pictures between its lines, and one without any."""
    a, b = picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2)
    return [
        request(("看猫", [a]), "那家面馆在哪儿", ("面馆", [b]), "走五分钟就到", id="two"),
        request("你好", "没有图片", "再见", id="none"),
    ]


def load(load_vlm: LoadVLM, folder: Path, template: str) -> VLM:
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return load_vlm(folder, batch_size=2)


@pytest.mark.parametrize("kind", SPOILING)
def test_what_a_template_changes_is_never_scored(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request], kind: str
) -> None:
    assert tiny.TEMPLATE.count(PARTS) == 1
    vlm = load(load_vlm, spoilt, tiny.TEMPLATE.replace(PARTS, SPOILING[kind]))
    answers = {retrieval.request: retrieval for retrieval in vlm.retrieve(chats)}
    assert {name for name, got in answers.items() if got.text is None} == EVERYTHING
    for got in answers.values():
        assert got.failure is not None
        assert got.failure.kind == "error"
        assert got.failure.message.startswith("input audit:")


@pytest.mark.parametrize("kind", LOSING)
def test_a_template_that_loses_something_is_refused(spoilt: Path, load_vlm: LoadVLM, kind: str) -> None:
    with pytest.raises(InputError, match=r": input audit: the chat template"):
        load(load_vlm, spoilt, tiny.TEMPLATE.replace(PARTS, LOSING[kind]))


@pytest.mark.parametrize("kind", MOVING)
def test_what_a_template_would_move_is_written_into_the_text(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request], kind: str
) -> None:
    before = [load_vlm(spoilt).inputs.build(chat) for chat in chats]
    vlm = load(load_vlm, spoilt, tiny.TEMPLATE.replace(PARTS, MOVING[kind]))
    assert vlm.identity()["pictures"] == "written into the text"
    assert [vlm.inputs.build(chat).text for chat in chats] == [one.text for one in before]
    assert all(retrieval.text is not None for retrieval in vlm.retrieve(chats))


def test_a_template_for_plain_text_is_given_plain_text(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    before = load_vlm(spoilt).inputs.build(chats[1])
    plain = PARTS.replace(IMAGE, "{{ 1 / 0 }}")  # not for parts, of whatever kind
    text = (
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}" + plain + "{% endif %}"
    )
    vlm = load(load_vlm, spoilt, tiny.TEMPLATE.replace(PARTS, text))
    assert vlm.inputs.template.form == "string"
    assert vlm.inputs.build(chats[1]).text == before.text
    assert vlm.inputs.build(chats[0]).text.count("<|image_pad|>") == 2


def test_what_a_template_adds_of_its_own_is_no_fault(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    framed = "你是助手。\n" + tiny.TEMPLATE.replace(PARTS, "问：" + PARTS.replace(IMAGE, "图" + IMAGE))
    vlm = load(load_vlm, spoilt, framed)
    assert all(retrieval.text is not None for retrieval in vlm.retrieve(chats))
