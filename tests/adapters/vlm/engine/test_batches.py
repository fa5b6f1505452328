"""Which requests go together, counted by hand; and what happens when memory was not enough."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from counting import Counts
from hypothesis import given
from hypothesis import strategies as st
from short_chats import picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine import batches as module
from f2rcli.adapters.vlm.engine.batches import Room, batches, bytes_a_token, in_order, out_of_memory
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]


def asked(dialogue: str, query: str = "猫") -> Request:
    return request(dialogue, query=query, id=f"{dialogue} {query}")


def cut(lengths: Sequence[int], room: Room) -> list[int]:
    """How many requests of these lengths go into each batch."""
    ordered = [(asked(str(number)), length) for number, length in enumerate(lengths)]
    made = list(batches(ordered, room))
    assert [one.id for batch in made for one in batch] == [one.id for one, _ in ordered]
    return [len(batch) for batch in made]


def test_dialogues_stay_together_the_longest_first() -> None:
    lengths = {"a 1": 10, "b 1": 5, "a 2": 30, "c 1": 20, "b 2": 40, "c 2": 20, "b 0": 5}
    requests = [asked(*name.split()) for name in lengths]
    ordered = in_order(requests, lambda one: lengths[one.id])
    assert [(one.id, length) for one, length in ordered] == [
        ("b 2", 40),
        ("b 0", 5),  # of the same length: by query
        ("b 1", 5),
        ("a 2", 30),
        ("a 1", 10),
        ("c 1", 20),
        ("c 2", 20),
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 3))))
def test_the_order_loses_nothing_and_depends_on_nothing_else(
    made: list[tuple[str, str, int]],
) -> None:
    lengths = {f"{dialogue} {query}": length for dialogue, query, length in made}
    requests = [asked(*name.split()) for name in lengths]
    ordered = [one.id for one, _ in in_order(requests, lambda one: lengths[one.id])]
    assert sorted(ordered) == sorted(lengths)
    backwards = in_order(requests[::-1], lambda one: lengths[one.id])
    assert [one.id for one, _ in backwards] == ordered
    dialogues = [name[0] for name in ordered]
    begins = [a for a, b in zip(dialogues, [None, *dialogues], strict=False) if a != b]
    assert len(begins) == len(set(dialogues))
    longest = [max(length for name, length in lengths.items() if name[0] == one) for one in begins]
    assert longest == sorted(longest, reverse=True)


def test_equal_requests_are_both_asked() -> None:
    assert len(in_order([asked("a"), asked("a")], lambda one: 7)) == 2


@pytest.mark.parametrize(
    ("lengths", "room", "sizes"),
    [
        ([5] * 7, Room(3), [3, 3, 1]),
        ([5] * 3, Room(1), [1, 1, 1]),
        ([], Room(3), []),
        ([10, 10, 10, 10, 10], Room(9, 40), [4, 1]),
        ([10, 10, 10, 10, 10], Room(9, 39), [3, 2]),  # 4 × 10 are 40
        ([30, 10, 10, 10], Room(9, 40), [1, 3]),  # 2 × 30, padding included, are 60
        ([30, 10, 10, 10], Room(9, 60), [2, 2]),
        ([10, 30, 10, 10], Room(9, 60), [2, 2]),  # whichever is longer
        ([10, 10, 30, 10], Room(9, 60), [2, 2]),  # three of 30 are 90
        ([100, 100, 5, 5], Room(9, 40), [1, 1, 2]),  # one always fits
        ([5, 5, 5], Room(9, 0), [1, 1, 1]),
    ],
)
def test_batches_by_rows_and_tokens(lengths: list[int], room: Room, sizes: list[int]) -> None:
    assert cut(lengths, room) == sizes


def test_the_room_may_shrink_meanwhile() -> None:
    room = Room(4, 1000)
    made = batches([(asked(str(number)), 10) for number in range(9)], room)
    assert len(next(made)) == 4
    room.shrink(4, 10)  # 20 tokens
    assert [len(batch) for batch in made] == [2, 2, 1]


def test_a_room_never_grows() -> None:
    """One long prompt that does not fit says nothing in favour of many short ones."""
    room = Room(16)
    room.shrink(4, 10)
    assert room.tokens == 20
    room.shrink(1, 100)
    assert room.tokens == 20
    room.shrink(2, 10)
    assert room.tokens == 10


def model(dtype: torch.dtype, **text: Any) -> Any:
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**text))
    return SimpleNamespace(config=config, dtype=dtype, device=torch.device("cpu"))


QWEN2_VL_7B = {
    "hidden_size": 3584,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "num_hidden_layers": 28,
}


@pytest.mark.parametrize(
    ("dtype", "text", "wanted"),
    [
        (torch.bfloat16, QWEN2_VL_7B, 114_688),  # 2 × 28 × 2 × 4 × 128 × 2
        (torch.float32, QWEN2_VL_7B, 229_376),
        (torch.bfloat16, {**QWEN2_VL_7B, "num_key_value_heads": None}, 802_816),  # 28 of them
        (torch.bfloat16, {**QWEN2_VL_7B, "head_dim": 64}, 57_344),
        (torch.bfloat16, {**QWEN2_VL_7B, "head_dim": None}, 114_688),
    ],
)
def test_what_a_token_takes(dtype: torch.dtype, text: dict[str, Any], wanted: int) -> None:
    assert bytes_a_token(model(dtype, **text)) == wanted


def test_free_memory_as_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_free_bytes", lambda device: 10 * 114_688)
    assert Room.free(model(torch.bfloat16, **QWEN2_VL_7B)) == Room(16, 6)  # 0.6 of ten


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, memory: bool) -> None:
    assert out_of_memory(error) is memory


def limited(vlm: VLM, tokens: int) -> list[int]:
    """The model has room for so many tokens, prompts included; the rows of calls that found it."""
    held: list[int] = []

    def on_call(module: Any, args: Any, given: dict[str, Any]) -> None:
        if given.get("attention_mask") is None:
            return  # a prompt is read
        rows, places = given["attention_mask"].shape
        if rows * places > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        held.append(rows)

    vlm.base.register_forward_pre_hook(on_call, with_kwargs=True)
    return held


def texts(vlm: VLM, requests: Sequence[Request]) -> dict[str, str | None]:
    got = list(vlm.retrieve(requests))
    assert [one.failure for one in got if one.failed] == []
    return {one.request: one.text for one in got}


def test_out_of_memory_is_recovered_from_and_learnt_from(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    """32 requests in batches of 8 on a device that has room for 3: the first batch is halved twice,
    and so is the second, which was ready by then; the others are of two from the beginning."""
    requests = [request(*["好"] * 6, chr(0x4E01 + n) * 3, id=str(n)) for n in range(32)]
    vlm = load_vlm(tiny_qwen2_vl, batch_size=8)
    wanted = texts(vlm, requests)
    assert len(wanted) == 32
    assert len(set(wanted.values())) > 4
    sizes: list[int] = []
    answer = vlm.engine.write
    vlm.engine.write = lambda batch, answers: sizes.append(len(batch)) or answer(batch, answers)  # type: ignore
    length = len(vlm.inputs.build(requests[0]).ids)
    held = limited(vlm, 3 * (length + 4))
    assert texts(vlm, requests) == wanted
    assert sizes == [8, 4, 2, 2, 4, 2, 2] * 2 + [2] * 8
    assert set(held) <= {1, 2}


def test_what_does_not_fit_by_itself_fails_alone(tiny_qwen2_vl: Path, load_vlm: LoadVLM) -> None:
    requests = [request(*["好"] * count, id=str(count)) for count in (1, 2, 40)]
    vlm = load_vlm(tiny_qwen2_vl, batch_size=3)
    wanted = texts(vlm, requests)
    limited(vlm, len(vlm.inputs.build(requests[2]).ids))  # its answer no more
    got = {one.request: one for one in vlm.retrieve(requests)}
    assert [name for name, one in got.items() if one.failed] == ["40"]
    assert {name: got[name].text for name in ("1", "2")} == {name: wanted[name] for name in ("1", "2")}


def test_prompts_are_read_without_padding(checkpoint: Path, load_vlm: LoadVLM, tmp_path: Path) -> None:
    """Whatever the batch: what the model reads of prompts is as many places as they have tokens."""
    a = picture(tmp_path / "a.png")
    requests = [
        request(*["好"] * count, *([("", [a])] if count % 2 else []), id=str(count))
        for count in (1, 9, 20, 33)
    ]
    vlm = load_vlm(checkpoint, batch_size=4)
    lengths = [len(vlm.inputs.build(one).ids) for one in requests]
    counts = Counts.of(vlm.base, vlm.processor)
    texts(vlm, requests)
    assert counts.passes[:4] == [(1, length) for length in sorted(lengths, reverse=True)]
    assert all(rows <= 4 and places <= 4 for rows, places in counts.passes[4:])
