"""What a model is made to say, drafted: its answers and the calls that they cost, worked out by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from counting import Counts
from scripted import assert_same, script, written
from short_chats import fragment, request

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine.greedy import no_draft
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Request

LoadVLM = Callable[..., VLM]
END = "<|im_end|>"


@pytest.fixture
def told() -> list[Request]:
    """Chats of 12, 30 and 60 utterances and no pictures: no two answers are at the same positions."""
    return [request(*["好"] * count, id=str(count)) for count in (12, 30, 60)]


FOUND = fragment([3, 4, 5])
ANSWERS = {  # of the three chats
    "on the grammar": [
        render_answer(FOUND) + END,
        render_answer(fragment([2, 7, 21])) + END,
        render_answer(fragment()) + END,
    ],
    "off it": ["你好" * 9 + END, "the utterances" + END, END],
    "half on it": [
        "<|utt_ids_start|>[3,4,5];[0]" + END,
        render_answer(FOUND).replace("img_ids_start", "img_id_start") + END,
        "好：" + render_answer(FOUND) + " find" + END,
    ],
    "without an end": [render_answer(FOUND) * 2, "[3, 4" * 9, render_answer(fragment(range(40)))],
    "an end in the middle": [
        render_answer(FOUND)[:30] + END + render_answer(FOUND)[30:],
        render_answer(FOUND) + "<|endoftext|>",  # the other one, where the first was drafted
        "<|utt_ids_start|>" + END + "[3]",
    ],
    "control tokens": [
        "<|im_start|>" + render_answer(FOUND) + END,
        render_answer(FOUND)[:25] + "<|image_pad|><|vision_start|>" + END,
        "<|utt_ids_start|>[3, <|utt_id_start|>4]<|utt_ids_end|>" + END,
    ],
}


@pytest.mark.parametrize("said", ANSWERS.values(), ids=list(ANSWERS))
@pytest.mark.parametrize("cap", [40, 9])
def test_whatever_a_model_says_it_is_its_answer(
    tagged: Path, load_vlm: LoadVLM, told: list[Request], said: list[str], cap: int
) -> None:
    vlm = load_vlm(tagged, max_new_tokens=cap, logprobs=True, batch_size=3)
    tokens = {one.id: vlm.tokenizer(text)["input_ids"] for one, text in zip(told, said, strict=True)}
    script(vlm, tokens, told)
    got = written(vlm, told)
    for name, wanted in tokens.items():
        ends = [i for i, token in enumerate(wanted) if token in vlm.ends]
        whole = wanted[: ends[0] + 1] if ends else wanted
        assert got[name].tokens[: len(whole)] == whole[:cap]
        assert got[name].ended == (bool(ends) and len(whole) <= cap)
        assert len(got[name].tokens) == (len(whole) if got[name].ended else cap)
    plain = load_vlm(tagged, max_new_tokens=cap, logprobs=True, exact=True)
    script(plain, tokens, told)
    assert_same(got, written(plain, told))


def passes(vlm: VLM, told: list[Request], answers: Sequence[str | list[int]]) -> list[tuple[int, int]]:
    """(rows, places) of the calls that write these answers, without those that read the prompts."""
    tokens = [vlm.tokenizer(one)["input_ids"] if isinstance(one, str) else one for one in answers]
    script(vlm, dict(zip((one.id for one in told), tokens, strict=True)), told)
    counts = Counts.of(vlm.base, vlm.processor)
    got = written(vlm, told)
    assert [got[one.id].tokens for one in told] == tokens
    read = sorted((len(vlm.inputs.build(one).ids) for one in told), reverse=True)
    assert counts.passes[: len(told)] == [(1, length) for length in read]
    return counts.passes[len(told) :]


def test_an_answer_is_written_in_three_calls(
    tagged: Path, load_vlm: LoadVLM, told: list[Request]
) -> None:
    """Of 17 tokens, a tag and a digit one each: the first comes of reading. Then
    1. the tag and `[`, behind which the model says 3;
    2. 3 and `, 4, 5, 6, 7, 8`, of which `, 4, 5` is right, and the model says `]`;
    3. `]` and the tag, `;`, the tag, `[`, `]`, the tag and the end, all of which is right."""
    vlm = load_vlm(tagged, max_new_tokens=None)
    answer = render_answer(FOUND) + END
    assert len(vlm.tokenizer(answer)["input_ids"]) == 17
    assert passes(vlm, told[:1], [answer]) == [(1, 2), (1, 16), (1, 8)]


def test_without_drafts_it_is_a_call_a_token(
    tagged: Path, load_vlm: LoadVLM, told: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = render_answer(FOUND) + END
    exact = load_vlm(tagged, max_new_tokens=None, exact=True)
    assert passes(exact, told[:1], [answer]) == [(1, 1)] * 16
    vlm = load_vlm(tagged, max_new_tokens=None)
    monkeypatch.setattr(vlm, "_draft", lambda asked: no_draft)
    assert passes(vlm, told[:1], [answer]) == [(1, 1)] * 16


def test_answers_are_written_together_each_at_its_own_pace(
    tagged: Path, load_vlm: LoadVLM, told: list[Request]
) -> None:
    """The empty answer: `[` and `]`, then all that follows. When it has ended, one of two is left."""
    vlm = load_vlm(tagged, max_new_tokens=None, batch_size=2)
    answers = [render_answer(FOUND) + END, render_answer(fragment()) + END]
    assert passes(vlm, told[:2], answers) == [(2, 2), (2, 16), (1, 8)]


def test_what_has_ended_is_dropped_when_it_is_half_of_the_batch(
    tagged: Path, load_vlm: LoadVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = load_vlm(tagged, max_new_tokens=20, batch_size=5)
    monkeypatch.setattr(vlm, "_draft", lambda asked: no_draft)
    told = [request(*["好"] * count, id=str(count)) for count in (10, 20, 30, 40, 50)]
    word, end = vlm.tokenizer.convert_tokens_to_ids(["0", END])
    answers = [[word] * words + [end] for words in (1, 9, 3, 5, 2)]  # and so calls behind the first
    # 5 rows until the third has ended, then 2 rows; 1 when the fourth ends
    assert passes(vlm, told, answers) == [(5, 1)] * 3 + [(2, 1)] * 2 + [(1, 1)] * 4
