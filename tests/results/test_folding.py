"""Seeds of one model: which runs are folded into one row, and what is then said."""

from pathlib import Path

import pytest
from handmade import answer, evaluated, scores
from tabled import Drawn, row, says, seeds

from f2rcli.results.folding import fold
from f2rcli.results.rows import Table, mean_sd
from f2rcli.results.tables import build_table
from f2rcli.tasks.errors import InputError

ONE, THREE = answer([2]), answer([2, 3, 4], [0])


def test_mean_and_sample_standard_deviation() -> None:
    assert mean_sd([1.0, 2.0, 6.0]) == (3.0, pytest.approx(7**0.5))  # (4 + 1 + 9) / 2
    assert mean_sd([0.25]) == (0.25, None)
    assert mean_sd([0.25, None]) == mean_sd([]) == (None, None)


def test_runs_that_differ_in_the_seed_alone_are_one_row(chats: Path, out: Path) -> None:
    runs = seeds(chats, out, ONE, THREE)
    [folded] = (table := build_table(runs)).rows
    f1s = [scores(run)["strict"]["joint"]["f1"] for run in runs]
    assert folded.scores["聊天"]["joint"]["f1"] == pytest.approx(sum(f1s) / 2)
    assert folded.sd["聊天"]["joint"]["f1"] == pytest.approx(abs(f1s[0] - f1s[1]) / 2**0.5)
    assert folded.scores["聊天"]["samples"] == 3
    assert folded.scores["聊天"]["protocol"] == "strict"
    assert folded.runs["聊天"] == runs
    assert table.notes == ["抽签 on 聊天: mean ± sample standard deviation of 2 seeds (0, 1)"]


def test_one_seed_has_no_spread(chats: Path, out: Path) -> None:
    [alone] = (table := build_table(seeds(chats, out, ONE))).rows
    assert alone.sd == {}
    assert table.notes == []


def test_the_same_seed_again_is_another_row(chats: Path, tmp_path: Path) -> None:
    runs = [run for place in "甲乙" for run in seeds(chats, tmp_path / place, ONE, THREE)]
    rows = build_table(runs).rows
    assert [row.model for row in rows] == ["抽签", "抽签 (2)"]
    assert [row.runs["聊天"] for row in rows] == [runs[:2], runs[2:]]


def test_runs_that_differ_in_more_than_the_seed_are_not_folded(chats: Path, out: Path) -> None:
    runs = seeds(chats, out, ONE)
    runs.append(evaluated(Drawn(lambda _: THREE, seed=1, config=1), chats, out, row=row("抽签")))
    runs.append(evaluated(Drawn(lambda _: THREE, seed=1), chats, out, row=row("抽签", "SFT"), limit=2))
    table = build_table(runs)
    assert [len(r.runs[task]) for r in table.rows for task in r.runs] == [1, 1, 1]


def trained(chats: Path, out: Path, *names: str, kind: str = "SFT") -> Table:
    """Rows of checkpoints, each answering something else."""
    return build_table(
        [
            evaluated(says(answer([2 + n])), chats, out, row=row(name, kind))
            for n, name in enumerate(names)
        ]
    )


def test_rows_are_folded_by_the_users_word(chats: Path, out: Path) -> None:
    table = trained(chats, out, "nano-s0", "别的", "nano-s1")
    f1s = [table.rows[place].scores["聊天"]["joint"]["f1"] for place in (0, 2)]
    fold(table, ["nano=nano-s*"])
    assert [(r.model, r.trained, len(r.runs["聊天"])) for r in table.rows] == [
        ("nano", "SFT", 2),
        ("别的", "SFT", 1),
    ]
    assert table.rows[0].scores["聊天"]["joint"]["f1"] == pytest.approx(sum(f1s) / 2)
    [note] = table.notes
    assert note == (
        "nano: mean ± sample standard deviation of 2 runs on 聊天, folded by name: nano-s0, nano-s1"
    )


def test_the_note_says_in_what_the_models_differ(chats: Path, out: Path) -> None:
    runs = [
        evaluated(Drawn(lambda _: ONE, seed=0, config=config), chats, out, row=row("点"))
        for config in ("甲", "乙")
    ]
    table = build_table(runs)
    assert len(table.rows) == 2
    fold(table, ["点=点*"])
    assert table.notes[0].endswith("folded by name: 点, 点 (2), which differ in config")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nano", "not NAME=GLOB"),
        ("=nano*", "not NAME=GLOB"),
        ("nano=", "not NAME=GLOB"),
        ("nano=没有*", "0 rows match; there are nano-s0, nano-s1, 别的"),
        ("nano=nano-s0", "1 rows match"),
        ("别的=nano*", "another row is called 别的"),
    ],
)
def test_what_cannot_be_folded_is_named(chats: Path, out: Path, text: str, said: str) -> None:
    table = trained(chats, out, "nano-s0", "nano-s1", "别的")
    with pytest.raises(InputError, match=said):
        fold(table, [text])


def test_rows_of_other_training_are_no_seeds(chats: Path, out: Path) -> None:
    runs = [
        evaluated(says(ONE), chats, out, row=row("a1", "SFT")),
        evaluated(says(ONE), chats, out, row=row("a2", "GRPO")),
    ]
    with pytest.raises(InputError, match="a1 and a2 differ in training, so they are no seeds"):
        fold(build_table(runs), ["a=a*"])
