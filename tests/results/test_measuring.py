"""Relevance and coherence in run folders: by which encoder, and what is done where there is none."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flat import Flat
from handmade import ROW, Scripted, answer, lines, scores
from short_chats import picture

from f2rcli.adapters.encoders import encoder
from f2rcli.results.derive import measured_predictions
from f2rcli.results.evaluate import evaluate, rebuild
from f2rcli.results.measuring import measured
from f2rcli.results.runs import RunFolder
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.scoring import score

# Turns of the chat are texts but for 3 and 7, which are pictures; those point to 90 degrees.
ANGLES = {"露营的第2句话": 0, "露营的第4句话": 30, "帐篷在哪里": 60, "谁带蛋糕": 90}
SAID = {"露营:0": answer([2, 3], [0]), "露营:1": answer([7]), "露营:2": "不知道"}


@pytest.fixture
def chats(chats: Path) -> Path:
    """With real pictures."""
    for file in (chats.parent / "图片").iterdir():
        picture(file)
    return chats


@pytest.fixture(autouse=True)
def flat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flat:
    """The encoder, whatever its name; never one of ours."""
    found = Flat(angle=lambda text: ANGLES.get(text, 180))
    monkeypatch.setattr(encoder, "find_encoder", lambda name, **options: found)
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "缓存"))
    return found


def run(chats: Path, out: Path, name: str | None = "flat") -> RunFolder:
    selection = measured(Selection.of(load_task(str(chats)), None, 0), name)
    assert selection.unmeasured is None
    return evaluate(ROW, Scripted(lambda request: SAID[request.id]), selection, out)


def test_scores_have_both_and_what_they_stand_beside(chats: Path, out: Path) -> None:
    found = scores(run(chats, out))
    strict = found["strict"]
    # 0: a text at 0° and a picture at 90°, query at 60°; 1 has a picture message without its picture,
    # 2 is malformed: both have no element.
    assert strict["relevance"] == pytest.approx((0.5 + math.sqrt(3) / 2) / 2)
    assert strict["coherence"] == pytest.approx(0, abs=1e-6)
    beside = strict["similarity"]
    assert (beside["encoder"], beside["digest"], beside["cut_texts"]) == ("flat 平面", "平面", 0)
    assert beside["undefined"] == {"relevance": 2, "coherence": 2}
    # gold: [2, 3, 4] with picture 0: 0°, 90°, 30° at 60°; [7] with picture 1: 90° at 90°; nothing
    assert beside["gold"]["coherence"] == pytest.approx((0 + 0.5) / 2, abs=1e-6)
    first = (0.5 + 2 * math.sqrt(3) / 2) / 3
    assert beside["gold"]["relevance"] == pytest.approx((first + 1) / 2)
    assert beside["gold"]["undefined"] == {"relevance": 1, "coherence": 2}
    assert found["published"]["similarity"] == beside


def test_retrieval_scores_are_the_same_with_and_without(chats: Path, out: Path) -> None:
    with_encoder = scores(run(chats, out / "a"))
    without = scores(run(chats, out / "b", "none"))
    for protocol, found in without.items():
        assert (found["relevance"], found["coherence"]) == (None, None)
        assert "similarity" not in found
        rest = {k: v for k, v in with_encoder[protocol].items() if k != "similarity"}
        assert {**rest, "relevance": None, "coherence": None} == found


def test_the_encoder_is_no_part_of_a_runs_identity_but_is_kept(chats: Path, out: Path) -> None:
    first, second = run(chats, out), run(chats, out, "none")
    assert first.path == second.path
    assert len(lines(first.path / "answers.jsonl")) == 3
    assert first.record()["encoder"] == "none"
    assert run(chats, out).record()["encoder"] == "flat 平面"


def test_a_run_is_made_again_by_its_own_encoder(chats: Path, out: Path, flat: Flat) -> None:
    made = run(chats, out)
    before = (made.path / "scores.json").read_bytes()
    (made.path / "scores.json").unlink()
    read = len(flat.read)
    asked: list[str] = []

    def by_its_own(selection: Selection) -> Selection:
        asked.append(selection.task.encoder)
        return measured(selection, None)

    assert rebuild(made, by_its_own).reason is None
    assert (made.path / "scores.json").read_bytes() == before
    assert asked == ["flat 平面"]
    assert len(flat.read) == read  # all of it was cached


def test_predictions_alone_give_the_same_numbers(chats: Path, out: Path) -> None:
    """The dialogue is in their messages, and the pictures are found by their paths."""
    made = run(chats, out)
    bare = made.path / "predictions.jsonl"
    task = replace(load_task(str(chats)), path=bare)
    selection = measured(Selection.of(task, None, 0), "flat")
    again = score(measured_predictions(bare, selection))
    assert {protocol: scorer.result() for protocol, scorer in again.items()} == scores(made)


def test_where_the_data_is_gone_nothing_is_measured(chats: Path, out: Path) -> None:
    made = run(chats, out)
    chats.unlink()
    rebuilt = rebuild(made, lambda selection: measured(selection, None))
    assert rebuilt.selection is None
    assert str(chats) in str(rebuilt.reason)
    assert scores(made)["strict"]["coherence"] is None


REASONS: dict[str, Callable[[Path], Any]] = {
    "no such image": lambda chats: (chats.parent / "图片/7.png").unlink(),
    "not a picture": lambda chats: (chats.parent / "图片/7.png").write_bytes(b"text"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_pictures_that_are_not_there_are_a_reason(
    chats: Path, reason: str, monkeypatch: pytest.MonkeyPatch, tiny_clip: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(encoder.NAMED, "clip-vit-base-patch32", str(tiny_clip))
    REASONS[reason](chats)
    selection = Selection.of(load_task(str(chats)), None, 0)
    seen = measured(selection, None)
    assert seen.vectors is None
    assert seen.task.encoder == "clip-vit-base-patch32"  # which is to be tried again
    assert str(seen.unmeasured).startswith("relevance and coherence are not measured: ")
    assert reason in str(seen.unmeasured)
    with pytest.raises(InputError, match=reason):
        measured(selection, "clip-vit-base-patch32")


@pytest.mark.parametrize(
    ("damage", "sound"),
    [
        (lambda part: part.pop("random"), False),
        (lambda part: part["gold"].pop("undefined"), False),
        (lambda part: part["random"].update(coherence="0.5"), False),
        (lambda part: part["random"].update(coherence=None), True),
    ],
)
def test_damaged_scores_are_named(
    chats: Path, out: Path, damage: Callable[[dict[str, Any]], Any], sound: bool
) -> None:
    from f2rcli.results.tables import read_scores

    made = run(chats, out)
    found = scores(made)
    damage(found["strict"]["similarity"])
    (made.path / "scores.json").write_text(json.dumps(found), encoding="utf-8")
    if sound:
        assert read_scores(made) == found
    else:
        with pytest.raises(InputError, match=r"scores\.json: not readable"):
            read_scores(made)
