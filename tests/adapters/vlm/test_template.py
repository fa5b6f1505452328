"""Chat templates that lose or move something: an error of the audit, and never a score."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from short_chats import picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
WRITE = "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ part['text'] }}{% endif %}"
PARTS = "{% for part in message['content'] %}" + WRITE + "{% endfor %}"
EVERYTHING = {"two", "none"}
FAULTS: dict[str, tuple[str, set[str]]] = {
    "cut at the end": (PARTS.replace("['text']", "['text'][:60]"), EVERYTHING),
    "cut at the start": (PARTS.replace("['text']", "['text'][10:]"), EVERYTHING),
    "in capitals": (PARTS.replace("['text']", "['text'] | replace('甲', '乙')"), EVERYTHING),
    "no text": (PARTS.replace("{{ part['text'] }}", ""), EVERYTHING),
    "first part only": (PARTS.replace(WRITE, "{% if loop.first %}" + WRITE + "{% endif %}"), {"two"}),
    "last part lost": (
        PARTS.replace(WRITE, "{% if not loop.last %}" + WRITE + "{% endif %}"),
        EVERYTHING,
    ),
    "no pictures": (PARTS.replace(IMAGE, ""), {"two"}),
    "one picture lost": (
        PARTS.replace(IMAGE, "{% if loop.index < 3 %}" + IMAGE + "{% endif %}"),
        {"two"},
    ),
    "pictures twice": (PARTS.replace(IMAGE, IMAGE + IMAGE), {"two"}),
    "pictures first": (
        "{% for part in message['content'] if part['type'] == 'image' %}" + IMAGE + "{% endfor %}"
        "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}",
        {"two"},
    ),
    "pictures last": (
        "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
        "{% for part in message['content'] if part['type'] == 'image' %}" + IMAGE + "{% endfor %}",
        {"two"},
    ),
    "backwards": (PARTS.replace("message['content']", "message['content'] | reverse"), {"two"}),
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


@pytest.mark.parametrize("kind", FAULTS)
def test_what_a_template_loses_or_moves_is_never_scored(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request], kind: str
) -> None:
    parts, guilty = FAULTS[kind]
    assert tiny.TEMPLATE.count(PARTS) == 1
    vlm = load(load_vlm, spoilt, tiny.TEMPLATE.replace(PARTS, parts))
    answers = {retrieval.request: retrieval for retrieval in vlm.retrieve(chats)}
    assert {name for name, got in answers.items() if got.text is None} == guilty
    for name in guilty:
        failure = answers[name].failure
        assert failure is not None
        assert failure.kind == "error"
        assert failure.message.startswith("input audit:")


def test_what_a_template_adds_of_its_own_is_no_fault(
    spoilt: Path, load_vlm: LoadVLM, chats: list[Request]
) -> None:
    framed = "你是助手。\n" + tiny.TEMPLATE.replace(PARTS, "问：" + PARTS.replace(IMAGE, "图" + IMAGE))
    vlm = load(load_vlm, spoilt, framed)
    assert all(retrieval.text is not None for retrieval in vlm.retrieve(chats))
