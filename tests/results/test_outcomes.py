"""Requests are known by what they ask, whatever is around it."""

import json
from pathlib import Path
from typing import Any

import official
import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import PICTURE, answer, line

from f2rcli.results.outcomes import Outcome, Sample, side_of_file
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.predictions import parse_prediction
from f2rcli.tasks.scoring import JUDGES, PROTOCOLS, Protocol, Tally

TURNS = ("user1: 你好", f"user2: 看 {PICTURE}", "user1: 可爱🐱")
IDS = st.lists(st.integers(0, 5), max_size=4)


@pytest.fixture
def sample(tmp_path: Path) -> Any:
    """The sample of a line of these turns, its message changed by `edit`."""

    def read(*turns: str, edit: tuple[str, str] = ("", ""), **keys: Any) -> Sample:
        made = line(*(turns or TURNS), **keys)
        message = made["messages"][0]
        message["content"] = message["content"].replace(*edit)
        [found] = side_of_file(official.write(tmp_path / "预测.jsonl", made)).samples
        return found

    return read


def known(sample: Sample) -> tuple[str, str, str]:
    return sample.dialogue, sample.question, sample.request


@pytest.mark.parametrize(
    "edit",
    [
        ("找出与查询", "Find what belongs to"),
        ("对话内容: ", "对话：\n"),
        ("user1: ", "user1："),
        ("可爱🐱", "可爱🐱\n只写编号。"),
        (" 看 <|", " 看<|"),
    ],
)
def test_another_prompt_asks_the_same_request(sample: Any, edit: tuple[str, str]) -> None:
    before, after = sample(), sample(edit=edit)
    assert known(before) == known(after)
    assert before.prompt != after.prompt


def test_a_system_prompt_is_a_prompt(sample: Any, tmp_path: Path) -> None:
    made = line(*TURNS)
    made["messages"].insert(0, {"role": "system", "content": "你是助手"})
    [found] = side_of_file(official.write(tmp_path / "系统.jsonl", made)).samples
    assert known(found) == known(sample())
    assert found.prompt != sample().prompt


@pytest.mark.parametrize(
    "keys",
    [
        {"response": answer([2])},
        {"dialogue_id": "别的"},
        {"images": ["/data/别处/0.jpg"]},
        {"images": [{"bytes": None, "path": "C:\\图片\\0.jpg"}]},
        {"f2r": {"request": "别的:3", "query": " 小猫\n", "shares": ["zh"]}},
    ],
)
def test_answers_names_and_folders_are_no_part_of_a_request(sample: Any, keys: dict[str, Any]) -> None:
    assert known(sample(**keys)) == known(sample())
    assert sample(**keys).prompt == sample().prompt


@pytest.mark.parametrize(
    ("turns", "keys", "same"),
    [
        (TURNS, {"labels": answer([1])}, 2),  # the dialogue and the question
        (TURNS, {"query": "小狗"}, 1),
        (TURNS, {"images": ["1.jpg"]}, 0),
        (("user1: 你好", "user2: 看", "user1: 可爱🐱"), {"images": ["0.jpg"]}, 0),
        ((*TURNS[:2], "user1: 好看🐱"), {}, 0),
        ((*TURNS[:2], "user2: 可爱🐱"), {}, 0),
        (("user1: 您好", *TURNS[1:]), {}, 0),
        ((*TURNS, "user2: 嗯"), {}, 0),
    ],
)
def test_another_dialogue_query_or_gold_is_another_request(
    sample: Any, turns: tuple[str, ...], keys: dict[str, Any], same: int
) -> None:
    pairs = list(zip(known(sample()), known(sample(*turns, **keys)), strict=True))
    assert [a == b for a, b in pairs] == [True] * same + [False] * (3 - same)


def test_without_a_query_tag_the_query_is_what_f2r_wrote_or_the_instruction(sample: Any) -> None:
    bare = ("<|query_start|>小猫<|query_end|>", "小猫")
    assert known(sample(edit=bare, f2r={"query": "小猫"})) == known(sample())
    assert known(sample(edit=bare)) == known(sample(edit=bare))
    assert known(sample(edit=bare)) != known(sample(edit=("<|query_start|>小猫<|query_end|>", "小狗")))


def test_dialogues_without_turns_are_known_by_their_whole_text(tmp_path: Path) -> None:
    made = [line(*TURNS), line(*TURNS)]
    for text, one in zip(("甲说", "乙说"), made, strict=True):
        one["messages"][0]["content"] = text
    samples = side_of_file(official.write(tmp_path / "文本.jsonl", *made)).samples
    assert samples[0].dialogue != samples[1].dialogue


@given(IDS, IDS, IDS, st.sampled_from(PROTOCOLS), st.booleans())
def test_an_outcome_has_the_counts_and_the_macro_f1_of_its_request(
    utterances: list[int], images: list[int], gold: list[int], protocol: Protocol, pictures: bool
) -> None:
    turns = TURNS if pictures else ("user1: 你好", "user1: 再见")
    made = line(*turns, response=answer(utterances, images), labels=answer(gold, gold[:1]))
    prediction = parse_prediction(made, "")
    verdict, tally = JUDGES[protocol](prediction), Tally(protocol)
    tally.add(verdict)
    found = Outcome.of(prediction, protocol)
    counts = [tally.micro[modality] for modality in ("utterances", "images")]
    assert found.counts == tuple(n for c in counts for n in (c.tp, c.fp, c.fn, c.tn))
    assert found.f1 == tally.scores("macro")["joint"]["f1"]
    assert found.exact == (set(utterances) == set(gold) and set(images) == set(gold[:1]))
    assert (found.failures, found.answered) == ((), True)


def test_failures_are_those_of_each_protocol(sample: Any) -> None:
    made = sample(response="答：" + official.EMPTY).outcomes
    assert {p: (o.failures, o.exact) for p, o in made.items()} == {
        "published": ((), True),
        "strict": (("malformed",), False),
    }
    refused = sample(f2r={"failures": {"refused": "不行"}}).outcomes["published"]
    assert (refused.failures, refused.answered, refused.exact) == (("refused",), False, False)


def test_every_sample_can_be_shown_also_where_ids_are_not_unique(tmp_path: Path) -> None:
    names = ["甲", "甲", "", "-x", "1"]
    made = [line(*TURNS, dialogue_id=name) for name in names]
    side = side_of_file(official.write(tmp_path / "预测.jsonl", *made))
    assert [found.shown for found in side.samples] == ["甲", "@1", "@2", "@3", "1"]


def test_a_file_is_synthetic_where_every_line_is(tmp_path: Path) -> None:
    marked, plain = (line(*TURNS, f2r={"shares": shares}) for shares in (["synthetic"], []))
    for number, (made, synthetic) in enumerate([((marked, marked), True), ((marked, plain), False)]):
        side = side_of_file(official.write(tmp_path / f"{number}.jsonl", *made))
        assert side.synthetic == synthetic
        assert (side.name, side.protocol, side.settings) == (f"{number}.jsonl", "published", None)


def test_slices_that_were_not_merged_are_noted(tmp_path: Path) -> None:
    made = [line(*TURNS, dialogue_id=f"长_split_{k}") for k in range(3)]
    [note] = side_of_file(official.write(tmp_path / "切.jsonl", *made)).notes
    assert "3 lines are slices" in note


@pytest.mark.parametrize("change", [{"labels": None}, {"images": "0.jpg"}, {"messages": []}])
def test_an_unusable_line_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    path = official.write(tmp_path / "预测.jsonl", line(*TURNS), line(*TURNS) | change)
    with pytest.raises(InputError) as caught:
        side_of_file(path)
    assert str(caught.value).startswith(f"{path}:2 (record 1): ")


def test_a_file_without_lines_is_named(tmp_path: Path) -> None:
    path = tmp_path / "空.jsonl"
    path.write_text(json.dumps([]))
    with pytest.raises(InputError, match="no predictions"):
        side_of_file(path)
