"""What arrives at an endpoint: the prompt's text and pictures, each in its place."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from fault_server import FaultServer
from short_chats import request

from f2rcli.adapters.api import APIModel
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Request

Make = Callable[..., APIModel]


def flat(path: Path, colour: str, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture of one colour, which JPEG keeps."""
    PIL.Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def chat(tmp_path: Path) -> Request:
    """Three pictures, two of them in one turn, the last one at the very end."""
    red, green, blue = (flat(tmp_path / f"{c}.png", c) for c in ("red", "green", "blue"))
    return request("看这只猫", ("红的和绿的", [red, green]), "好", ("", [blue]), query="猫在哪里")


def colours(content: list[Any]) -> list[str]:
    """Texts as they are, pictures by their colour."""
    names = {"red": (254, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 254)}
    found = []
    for part in content:
        if not isinstance(part, str):
            mean = np.asarray(part.convert("RGB")).reshape(-1, 3).mean(0)
            part = min(names, key=lambda name: float(np.abs(mean - names[name]).sum()))
        found.append(part)
    return found


def test_every_picture_stands_behind_its_tag(
    server: FaultServer, make: Make, kind: str, chat: Request
) -> None:
    (answer,) = make(kind).retrieve([chat])
    assert (answer.failure, answer.details["images"]) == (None, 3)
    [received] = server.received
    assert colours(received.content) == [
        "猫在哪里\n<|utt_id_start|>0<|utt_id_end|> 甲: 看这只猫\n"
        "<|utt_id_start|>1<|utt_id_end|> 乙: 红的和绿的 <|img_id_start|>0<|img_id_end|>",
        "red",
        "<|img_id_start|>1<|img_id_end|>",
        "green",
        "\n<|utt_id_start|>2<|utt_id_end|> 甲: 好\n"
        "<|utt_id_start|>3<|utt_id_end|> 乙: <|img_id_start|>2<|img_id_end|>",
        "blue",
    ]
    assert received.path == {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[kind]


def test_pictures_first_is_another_run_with_the_same_text(
    server: FaultServer, make: Make, kind: str, chat: Request
) -> None:
    plain, first = make(kind), make(kind, placement="first")
    for model in (plain, first):
        (answer,) = model.retrieve([chat])
        assert answer.failure is None
    in_place, moved = (colours(received.content) for received in server.received)
    assert moved[:3] == ["red", "green", "blue"]
    assert moved[3:] == ["".join(text for text in in_place if text not in moved[:3])]
    assert plain.identity() != first.identity()
    assert first.identity()["pictures"]["placement"] == "first"


def test_a_picture_is_made_to_fit_and_a_small_one_is_left(
    server: FaultServer, make: Make, kind: str, tmp_path: Path
) -> None:
    files = [flat(tmp_path / f"{w}.png", "teal", (w, h)) for w, h in ((1600, 1200), (40, 30))]
    (answer,) = make(kind).retrieve([request(("", files))])
    assert answer.failure is None
    large, small = (part for part in server.received[0].content if not isinstance(part, str))
    assert (large.format, large.size, small.size) == ("JPEG", (896, 672), (40, 30))
    assert large.width * large.height == 602_112
    assert small.info["jfif"]
    assert np.abs(np.asarray(small, float) - np.array([0, 128, 128])).max() <= 2


def test_a_request_as_both_apis_want_it(
    server: FaultServer, make: Make, kind: str, chat: Request
) -> None:
    spoken = replace(chat, prompt=replace(chat.prompt, system="你是助手"))
    (answer,) = make(kind, {"max_new_tokens": 77}).retrieve([spoken])
    assert answer.failure is None
    [received] = server.received
    assert received.body["model"] == "some-model"
    assert (received.body["temperature"], received.body["max_tokens"]) == (0, 77)
    assert received.headers["authorization"] == "Bearer sk-Gehe1m-0123456789"
    if kind == "openai":
        assert received.body["messages"][0] == {"role": "system", "content": "你是助手"}
    else:
        assert received.body["system"] == "你是助手"


def test_a_row_says_what_its_model_takes(server: FaultServer, make: Make, kind: str) -> None:
    row = {
        "takes_temperature": False,
        "max_new_tokens": 100,
        "max_reasoning_tokens": 2048,
        "budget_field": "thinking.budget_tokens",
        "body": {"thinking": {"type": "enabled"}, "seed": 3},
        **({"limit_field": "max_completion_tokens"} if kind == "openai" else {}),
    }
    model = make(kind, row)
    (answer,) = model.retrieve([request("你好")])
    assert answer.failure is None
    body = server.received[0].body
    assert "temperature" not in body
    assert body["max_completion_tokens" if kind == "openai" else "max_tokens"] == 2148
    assert ("max_tokens" in body) == (kind == "anthropic")
    assert (body["thinking"], body["seed"]) == ({"type": "enabled", "budget_tokens": 2048}, 3)
    assert row["body"]["thinking"] == {"type": "enabled"}  # the row itself is not written into


def test_there_is_room_for_every_id_of_the_dialogue(server: FaultServer, make: Make) -> None:
    (_,) = make("openai").retrieve([request(*["好"] * 400)])
    longest = len(str(list(range(400)))) + len("<|utt_ids_start|><|utt_ids_end|>;<|img_ids_start|>")
    assert server.received[0].body["max_tokens"] >= longest + len("[]<|img_ids_end|>")
    (_,) = make("openai").retrieve([request("好")])
    assert server.received[1].body["max_tokens"] == 1024


def test_the_dialogue_is_cached_only_where_the_query_comes_after_it(
    server: FaultServer, make: Make
) -> None:
    after = PromptTemplate({"": "聊天:\n{dialogue}\n找 {query}"})
    asked = [request("甲来了", "乙走了", query=query, id=query) for query in ("甲", "乙")]
    list(make("anthropic", concurrency=1).retrieve([after.apply(one) for one in asked]))
    for received, query in zip(server.received, ("甲", "乙"), strict=True):
        dialogue, question = received.body["messages"][0]["content"]
        assert dialogue["cache_control"] == {"type": "ephemeral"}
        assert dialogue["text"].endswith("乙走了")
        assert question == {"type": "text", "text": f"\n找 {query}"}
    server.received.clear()
    list(make("anthropic", concurrency=1).retrieve([after.apply(asked[0])]))  # nobody to share with
    list(make("anthropic", concurrency=1).retrieve(asked))
    assert len(server.received) == 3
    assert "cache_control" not in str([received.body for received in server.received])
    list(make("openai").retrieve([after.apply(asked[0])]))
    assert server.received[-1].content == [
        "聊天:\n<|utt_id_start|>0<|utt_id_end|> 甲: 甲来了\n"
        "<|utt_id_start|>1<|utt_id_end|> 乙: 乙走了\n找 甲"
    ]


def test_what_a_dry_run_shows_is_what_is_sent(
    server: FaultServer, make: Make, kind: str, chat: Request
) -> None:
    model = make(kind)
    shown, size, images = model.shown(chat, [chat])
    assert server.received == []
    (answer,) = model.retrieve([chat])
    assert answer.failure is None
    assert (size, images) == (server.received[0].size, 3)
    assert "看这只猫" in shown
    assert shown.count("64 × 48 pixels") == 3
    assert len(shown) < 3000


def test_half_a_character_does_not_stop_a_run(server: FaultServer, make: Make, kind: str) -> None:
    (found,) = make(kind).retrieve([request("半个\ud83d字", "整个\ud83d\ude3a字")])
    assert found.failure is None
    assert "半个\ufffd字" in server.received[0].content[0]
    assert "整个😺字" in server.received[0].content[0]


def test_a_typed_control_token_is_none_any_more(server: FaultServer, make: Make, kind: str) -> None:
    """A server of one's own would end the prompt at it, or look for a picture."""
    (found,) = make(kind).retrieve([request("他写了<|im_end|>和<|image_pad|>", query="<|im_start|>谁")])
    assert found.failure is None
    said = "".join(server.received[0].content)
    assert "他写了< |im_end|>和< |image_pad|>" in said
    assert "< |im_start|>谁" in said
    assert "<|utt_id_start|>0<|utt_id_end|>" in said


def test_too_many_pictures_are_a_failure_that_says_so(
    server: FaultServer, make: Make, kind: str, chat: Request
) -> None:
    few = request("没有图片", id="few")
    answers = {one.request: one for one in make(kind, {"max_images": 2}).retrieve([chat, few])}
    failure = answers["r"].failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("error", "3 images, and the endpoint takes 2 a request")
    assert answers["r"].details["lasting"]
    assert answers["few"].failure is None
    assert len(server.received) == 1


def test_a_picture_that_cannot_be_read_costs_its_request_only(
    server: FaultServer, make: Make, tmp_path: Path
) -> None:
    broken = tmp_path / "坏.png"
    broken.write_bytes(b"no picture")
    asked = [request(("看", [broken]), id="broken"), request("你好", id="sound")]
    answers = {one.request: one.failure for one in make("openai").retrieve(asked)}
    assert answers["sound"] is None
    assert answers["broken"] is not None
    assert "坏.png" in answers["broken"].message
