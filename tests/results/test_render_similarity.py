"""The table of relevance and coherence."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from handmade import answer, evaluated, says, scores

from f2rcli.adapters.registry import ModelRow
from f2rcli.results.layouts import overview
from f2rcli.results.render import console, print_scores, print_sheet
from f2rcli.results.runs import RunFolder
from f2rcli.results.tables import build_table


def measured(run: RunFolder, relevance: float | None, digest: str = "甲") -> RunFolder:
    """The run as if an encoder had measured it."""
    found = scores(run)
    for part in found.values():
        part |= {"relevance": relevance, "coherence": -0.0126}
        part["similarity"] = {
            "encoder": f"flat {digest}",
            "digest": digest,
            "undefined": {"relevance": 2, "coherence": 3},
            "random": {"relevance": 0.25, "coherence": None},
            "gold": {
                "relevance": 0.5,
                "coherence": 0.75,
                "undefined": {"relevance": 0, "coherence": 1},
            },
            "cut_texts": 0,
        }
    (run.path / "scores.json").write_text(json.dumps(found), encoding="utf-8")
    return run


def row(name: str, trained: str = "own") -> ModelRow:
    return ModelRow(name, "python", trained, "", {"file": __file__, "class": "X"})


def printed(*runs: RunFolder) -> list[str]:
    text = StringIO()
    print_sheet(overview(build_table(runs)), console(text))
    return text.getvalue().splitlines()


@pytest.fixture
def one(chats: Path, out: Path) -> RunFolder:
    return measured(evaluated(says(answer([2])), chats, out, row=row("第一")), 0.4321)


def test_each_value_stands_beside_chance_and_the_gold_fragments_come_last(one: RunFolder) -> None:
    lines = printed(one)
    begin = next(i for i, line in enumerate(lines) if line.startswith("mean cosine"))
    assert lines[begin].split() == [
        *("mean", "cosine", "relevance", "random", "coherence", "random", "undefined")
    ]
    assert lines[begin + 1].split() == ["第一", "0.432", "0.250", "-0.013", "–", "2,", "3"]
    assert lines[begin + 2].split() == ["gold", "0.500", "0.750", "0,", "1"]
    assert (
        "relevance and coherence by flat 甲; random: as many texts and pictures, drawn at random"
        in lines
    )


def test_without_an_encoder_there_is_no_such_table(chats: Path, out: Path) -> None:
    lines = printed(evaluated(says(answer([2])), chats, out))
    assert not [line for line in lines if "relevance" in line or line.startswith("gold")]


def test_a_run_that_was_not_measured_has_no_row_in_it(one: RunFolder, chats: Path, out: Path) -> None:
    lines = printed(one, evaluated(says(answer()), chats, out, row=row("第二")))
    assert sum(line.startswith("第一") for line in lines) == 2
    assert sum(line.startswith("第二") for line in lines) == 1


def test_numbers_of_two_encoders_do_not_stand_in_one_column(
    one: RunFolder, chats: Path, out: Path
) -> None:
    other = measured(evaluated(says(answer()), chats, out, row=row("第二")), 0.9, "乙")
    lines = printed(one, other)
    assert not [line for line in lines if "0.900" in line]
    assert "第二 on 聊天: measured by another encoder, flat 乙" in lines


def test_scores_of_a_file_say_it_in_words(one: RunFolder) -> None:
    text = StringIO()
    found: dict[str, Any] = {"预测.jsonl": scores(one)["strict"]}
    print_scores(found, console(text))
    assert text.getvalue().splitlines()[-2:] == [
        "预测.jsonl: relevance 0.432 (random 0.250, gold 0.500; undefined for 2) by flat 甲",
        "预测.jsonl: coherence -0.013 (random –, gold 0.750; undefined for 3) by flat 甲",
    ]
