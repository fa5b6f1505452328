"""Samples: the evaluation's prompt, loss on the answer and the end of the turn and on nothing else."""

from pathlib import Path

import pytest
import tiny
import torch
from short_chats import fragment, picture, request

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.inputs import InputBuilder
from f2rcli.adapters.vlm.processor import load_processor
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.samples import NO_LOSS, Samples

ANSWER = "<|utt_ids_start|>[1, 2]<|utt_ids_end|>;<|img_ids_start|>[0]<|img_ids_end|>"


def samples_of(folder: Path, model_type: str, requests: list[Request]) -> Samples:
    inputs = InputBuilder(load_processor(folder, model_type, 602_112))
    return Samples(requests, inputs, {inputs.tokenizer.convert_tokens_to_ids("<|im_end|>")})


@pytest.fixture(params=["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def made(request: pytest.FixtureRequest, tmp_path: Path, asked: list[Request]) -> Samples:
    folder = getattr(tiny, request.param)(tmp_path / request.param)
    return samples_of(folder, request.param, asked)


def test_what_carries_loss_is_the_answer_and_the_end_of_the_turn(made: Samples) -> None:
    decode = made.inputs.tokenizer.decode
    batch = made.collate([made[0], made[3]])  # with pictures and without
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    texts = [decode(row[row != NO_LOSS]) for row in batch["labels"]]
    assert texts == [
        f"{ANSWER}<|im_end|>",
        "<|utt_ids_start|>[0, 1]<|utt_ids_end|>;<|img_ids_start|>[]<|img_ids_end|><|im_end|>",
    ]
    carries = batch["labels"] != NO_LOSS
    assert torch.equal(batch["labels"][carries], batch["input_ids"][carries])
    for row, sample in zip(batch["attention_mask"], (made[0], made[3]), strict=True):
        assert row.tolist() == [1] * sample.tokens + [0] * (len(row) - sample.tokens)


def test_the_prompt_is_the_one_that_the_evaluation_asks_with(made: Samples) -> None:
    for i in (0, 3):
        sample, evaluated = made[i], made.inputs.build(made.requests[i])
        ids = made.collate([sample])["input_ids"][0].tolist()
        assert ids == [*evaluated.ids, *sample.answer]
        assert evaluated.text.endswith("<|im_start|>assistant\n")


def test_pictures_are_collated_as_for_the_evaluation(made: Samples) -> None:
    batch = made.collate([made[3], made[0], made[1]])
    asked = made.inputs.collate([made.inputs.build(made.requests[i]) for i in (3, 0, 1)])
    pictures = asked.keys() - {"input_ids", "attention_mask", "mm_token_type_ids"}
    assert pictures
    assert all(torch.equal(batch[key], asked[key]) for key in pictures)
    assert ("mm_token_type_ids" in batch) == ("mm_token_type_ids" in asked)
    if "mm_token_type_ids" in batch:
        image = made.inputs.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        assert torch.equal(batch["mm_token_type_ids"] == 1, batch["input_ids"] == image)


def test_a_typed_control_token_does_not_end_the_turn(tiny_qwen2_vl: Path) -> None:
    typed = request("你好<|im_end|>", "<|image_pad|>猫", gold=fragment([1]))
    sample = samples_of(tiny_qwen2_vl, "qwen2_vl", [typed])[0]
    assert sample.prompt.escaped == 2
    assert sample.answer.count(sample.answer[-1]) == 1


def template(folder: Path, vlm: VLM, old: str, new: str) -> Samples:
    """The checkpoint with its chat template changed."""
    changed = samples_of(folder, "qwen2_vl", [request("你好", gold=fragment([0]))])
    text = vlm.processor.chat_template or vlm.tokenizer.chat_template
    assert old in text
    changed.inputs.processor.chat_template = text.replace(old, new)
    return changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<|im_start|>assistant\n{%", "<|im_start|>assistant\n<think>\n{%"),  # asked for, not spoken
        ("{{ part['text'] }}", "{{ part['text'].replace(';', ',') }}"),  # an answer that is changed
    ],
)
def test_a_template_that_answers_otherwise_is_refused(
    tiny_qwen2_vl: Path, vlm: VLM, old: str, new: str
) -> None:
    with pytest.raises(InputError, match="the chat template"):
        template(tiny_qwen2_vl, vlm, old, new)[0]


def test_a_template_without_an_end_of_turn_is_refused(tiny_qwen2_vl: Path, vlm: VLM) -> None:
    with pytest.raises(InputError, match="never learn to stop"):
        template(tiny_qwen2_vl, vlm, "{% endfor %}<|im_end|>\n{% endfor %}", "{% endfor %}{% endfor %}")[
            0
        ]


def test_an_unreadable_picture_names_its_record(tiny_qwen2_vl: Path, tmp_path: Path) -> None:
    file = picture(tmp_path / "坏.png")
    file.write_bytes(file.read_bytes()[:100])
    asked = request(("", [file]), gold=fragment([0]))
    asked = Request(asked.id, asked.dialogue, asked.query, asked.prompt, asked.gold, "chats.json:7")
    with pytest.raises(InputError, match=r"chats\.json:7: image .*坏\.png"):
        samples_of(tiny_qwen2_vl, "qwen2_vl", [asked])[0]
