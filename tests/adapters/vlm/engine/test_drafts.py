"""Drafts: guesses worked out by hand, and that none is ever longer, wrong or stale."""

import re

import pytest
import tiny
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_parts import GEMMA, words
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast

from f2rcli.adapters.vlm.engine.drafts import HEAD, LONGEST, MIDDLE, TAIL, Drafts, guess
from f2rcli.tasks.tags import TAGS, render_answer
from f2rcli.tasks.types import Dialogue, Fragment, Image, Utterance

ELEVEN = tuple(range(3, 12))


def dialogue(carried: dict[int, tuple[int, ...]], ids: list[int]) -> Dialogue:
    utterances = tuple(Utterance(i, "甲", "你好", carried.get(i, ())) for i in ids)
    pictures = [image for u in utterances for image in u.images]
    return Dialogue("d", utterances, tuple(Image(i, f"{i}.png") for i in pictures))


CHAT = dialogue({2: (0,), 4: (1, 2), 9: ELEVEN}, [*range(15)])  # utterances 0 … 14, pictures 0 … 11
END_OF_FIRST = "<|utt_ids_end|>;<|img_ids_start|>["


def test_the_form_is_the_official_one() -> None:
    assert HEAD == "<|utt_ids_start|>["
    assert MIDDLE == "]<|utt_ids_end|>;<|img_ids_start|>["
    assert TAIL == "]<|img_ids_end|>"


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ("", "<|utt_ids_start|>["),  # the opening
        ("<|utt", "_ids_start|>["),
        ("<|utt_ids_start|>", "["),
        ("[", ""),  # which utterances, nobody knows
        ("[3", ", 4, 5, 6, 7, 8"),  # the next five
        ("[3,", " 4, 5, 6, 7, 8"),
        ("[3, ", "4, 5, 6, 7, 8"),
        ("[1, 3, ", "4, 5, 6, 7, 8"),
        ("[3, 4, 1", "0, 11, 12, 13, 14"),  # of 10, as 1 cannot come behind 4
        ("[1", ", 2, 3, 4, 5, 6"),  # here it can
        ("[12", ", 13, 14"),
        ("[14", ""),  # the last one
        ("[3,4", ""),  # another form
        ("[3 , 4", ""),
        ("[ 3", ""),
        ("[03", ""),
        ("[,", ""),
        ("[3,, ", ""),
        ("[5, 3", ""),  # out of order
        ("[15", ""),  # that the dialogue does not have
        ("[99, ", ""),
        ("[3, x", ""),
        ("[3, ³", ""),
        ("[]", END_OF_FIRST + "]<|img_ids_end|>"),  # the second list
        ("[3]", END_OF_FIRST + "]<|img_ids_end|>"),  # it carries no picture
        ("[2, 4]", END_OF_FIRST + "0, 1, 2]<|img_ids_end|>"),
        ("[2,4]", END_OF_FIRST + "0, 1, 2]<|img_ids_end|>"),
        ("[4, 2, 99]", END_OF_FIRST + "0, 1, 2]<|img_ids_end|>"),
        ("[2]<|utt_ids_end|>;<|img", "_ids_start|>[0]<|img_ids_end|>"),
        ("[2, 4" + MIDDLE, "0, 1, 2]<|img_ids_end|>"),
        ("[2, 4" + MIDDLE + "0", ", 1, 2]<|img_ids_end|>"),
        ("[2, 4" + MIDDLE + "0, ", "1, 2]<|img_ids_end|>"),
        ("[2, 4" + MIDDLE + "1", ""),  # other pictures than theirs
        ("[2" + MIDDLE + "1, 1", "0"),  # some id all the same: 10 is the first behind 1
        ("[2" + MIDDLE + "1,1", ""),
        ("[2" + MIDDLE + "0, ", ""),
        ("[2" + MIDDLE + "12", ""),
        ("[2" + MIDDLE + "x", ""),
        ("[2" + MIDDLE + "3]", "<|img_ids_end|>"),  # the end
        ("[2" + MIDDLE + "3, x]", ""),
        ("[2" + MIDDLE + "3]<|img", "_ids_end|>"),
        ("[2" + MIDDLE + "0]<|img_ids_end|>", ""),
        ("[2" + MIDDLE + "3]<|img_ids_end|>", ""),
        ("[2" + MIDDLE + "0]<|img_ids_end|>\n好", ""),  # junk behind, between and before
        ("[2" + MIDDLE + "3] ", ""),
        ("[2] ", ""),
        ("[2]<|utt_ids_end|>,", ""),
        ("<|utt_ids_start|> [2", ""),
        ("好：<|utt_ids_start|>[2", ""),
        (" ", ""),
        ("好", ""),
    ],
)
def test_guesses(text: str, follows: str) -> None:
    begun = text if text.startswith(("<", "好", " ")) else text.replace("[", HEAD, 1)
    assert guess("" if not text else begun, CHAT) == follows


@st.composite
def answered(draw: st.DrawFn) -> tuple[Dialogue, Fragment]:
    """A dialogue whose ids have gaps, and a fragment of it."""
    ids = sorted(draw(st.sets(st.integers(0, 130), min_size=1, max_size=30)))
    carried: dict[int, tuple[int, ...]] = {}
    for image in range(draw(st.integers(0, 14))):
        holder = draw(st.sampled_from(ids))
        carried[holder] = (*carried.get(holder, ()), image)
    made = dialogue(carried, ids)
    whole = made.everything
    return made, Fragment(
        frozenset(draw(st.sets(st.sampled_from(ids)))),
        frozenset(draw(st.sets(st.sampled_from(sorted(whole.images) or [0])))) & whole.images,
    )


def listed(text: str) -> frozenset[int]:
    return frozenset(map(int, re.findall("[0-9]+", text)))


@given(answered(), st.floats(0, 1))
def test_what_is_begun_in_the_official_form_goes_on_in_it(
    made: tuple[Dialogue, Fragment], share: float
) -> None:
    chat, fragment = made
    official = render_answer(fragment)
    text = official[: round(share * len(official))]
    whole = text + guess(text, chat)
    if whole == text:
        return
    utterances, closed, images = whole.removeprefix(HEAD).partition(MIDDLE)
    found = Fragment(listed(utterances), listed(images)) if whole.startswith(HEAD) else Fragment()
    assert found.utterances <= chat.everything.utterances
    assert found.images <= chat.everything.images
    assert render_answer(found).startswith(whole)
    if "]" in text and MIDDLE not in text:  # pictures are guessed with their utterances
        carried = {i for u in chat.utterances if u.id in found.utterances for i in u.images}
        assert closed
        assert (whole.endswith(TAIL), found.images) == (True, carried)


PIECES = [HEAD, MIDDLE, TAIL, "[", "]", ",", ", ", " ", "0", "7", "12", "9" * 5000, "²", "٣", "<|", "\n"]


@example("9" * 5000 + ", 1")  # more digits than Python reads
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=8).map("".join))
def test_no_text_is_too_odd(text: str) -> None:
    for begun in (text, HEAD + text, HEAD + "2" + MIDDLE + text):
        assert isinstance(guess(begun, CHAT), str)


def sentencepiece_kind() -> PreTrainedTokenizerFast:
    """As Llama's: a word mark in front, bytes where it knows no token."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "</s>", *bytes_])
    made.train_from_iterator([*TAGS, *"0123456789,;[] "] * 4, trainer)
    spaces, first = decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)
    made.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse(), first])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="</s>")


def tagged() -> PreTrainedTokenizerFast:
    made = tiny.tokenizer()
    made.add_special_tokens({"additional_special_tokens": [*tiny.CONTROL, *TAGS]})
    return made


TOKENIZERS = {
    "bytes": tiny.tokenizer(),
    "tags as tokens": tagged(),
    "a first token": words(GEMMA, begin="<bos>"),
    "sentencepiece": sentencepiece_kind(),
}


def decoded(tokenizer: PreTrainedTokenizerFast, tokens: list[int]) -> str:
    return tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return TOKENIZERS[request.param]


def steps(tokenizer: PreTrainedTokenizerFast, answer: list[int]) -> int:
    """How many calls write an answer whose first token is there, every draft verified."""
    drafts = Drafts(tokenizer, CHAT, answer[-1])
    there, calls = 1, 0
    while there < len(answer):
        draft = drafts.after(answer[:there])
        assert len(draft) <= LONGEST
        pairs = zip(draft, answer[there:], strict=False)
        there += 1 + next((i for i, (a, b) in enumerate(pairs) if a != b), len(draft))
        calls += 1
    return calls


@pytest.mark.parametrize(
    ("utterances", "images", "calls"),
    [
        ([], [], 2),  # `[` and by itself `]`; the rest
        ([5, 6, 7], [], 3),  # `[5`; `, 6, 7` and by itself `]`; the rest
        ([3, 4, 5], [], 4),  # as before, but 4 carries pictures: up to `[` and by itself `]`; the end
        ([2, 4, 9], range(12), 6),  # `[2`; `, 4`; `, 9`; `]`; 24 tokens and one more; the rest
        # `[0`; `, 7`; `, 1`; `3`; `]`; up to `[5`; `,`; ` `; `1`; `1`; `]`; the end
        ([0, 7, 13], [5, 11], 12),
        (range(15), range(12), 6),  # `[0`; … `5,`; … `10,`; … `14]`; 25 tokens; the rest
    ],
)
def test_an_official_answer_is_written_in_few_calls(
    tokenizer: PreTrainedTokenizerFast, utterances: list[int], images: list[int], calls: int
) -> None:
    text = render_answer(Fragment(frozenset(utterances), frozenset(images)))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    counted = steps(tokenizer, [*ids, tokenizer.eos_token_id])
    if tokenizer is TOKENIZERS["tags as tokens"]:
        assert counted == calls
    else:  # a tag is several tokens
        assert counted < len(ids) / 2


@given(st.data())
def test_a_draft_goes_on_from_the_tokens_that_there_are(data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[data.draw(st.sampled_from(sorted(TOKENIZERS)))]
    chat, fragment = data.draw(answered())
    official = tokenizer(render_answer(fragment), add_special_tokens=False)["input_ids"]
    drafts = Drafts(tokenizer, chat, tokenizer.eos_token_id)
    drafts.after(official[: data.draw(st.integers(0, len(official)))])
    kept = official[: data.draw(st.integers(0, len(official)))]
    others = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), min_size=1, max_size=3))
    tokens = [*kept, *others]
    draft = drafts.after(tokens)
    assert len(draft) <= LONGEST
    if official[: len(tokens)] != tokens:  # what it had in mind before is of no use
        assert draft == Drafts(tokenizer, chat, tokenizer.eos_token_id).after(tokens)
    if draft:
        whole = decoded(tokenizer, [*tokens, *draft])
        assert whole.startswith(decoded(tokenizer, tokens))


def test_behind_a_whole_answer_comes_the_end(tokenizer: PreTrainedTokenizerFast) -> None:
    end = tokenizer.eos_token_id
    for text, proposed in ((render_answer(CHAT.everything), [end]), ("好", []), (HEAD, [])):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert Drafts(tokenizer, CHAT, end).after(tokens) == proposed


def test_tokens_that_it_would_have_cut_otherwise_get_no_draft() -> None:
    made = TOKENIZERS["tags as tokens"]
    cut = [token for part in ("<|", "utt", "_ids_start|>", "[") for token in made(part)["input_ids"]]
    assert decoded(made, cut) == HEAD
    assert Drafts(made, CHAT, made.eos_token_id).after([*cut, *made("3")["input_ids"]]) == []
