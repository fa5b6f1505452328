"""When a gate says no."""

from pathlib import Path

import answered
import official
import pytest
from answered import dropped, perfect

from f2rcli.results.bootstrap import Difference
from f2rcli.results.compare import compare
from f2rcli.results.gate import Check, Gate, judge, parse_margins
from f2rcli.results.outcomes import side_of_file
from f2rcli.tasks.errors import InputError


def test_margins_are_points_of_named_metrics() -> None:
    found = parse_margins(["joint.f1=1.5", "image.recall=0", "utterance.mcc=200"])
    assert found == pytest.approx({"joint.f1": 0.015, "image.recall": 0, "utterance.mcc": 2})
    assert parse_margins([]) == {}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["f1=1"], "no metric 'f1'"),
        (["joint.f2=1"], "joint.f1"),  # what there is
        (["joint.f1"], "'joint.f1' is no drop"),
        (["joint.f1=一"], "no drop in points"),
        (["joint.f1=-1"], "no drop in points"),
        (["joint.f1=nan"], "no drop in points"),
        (["joint.f1=inf"], "no drop in points"),
        (["joint.f1=1", "joint.f1=2"], "twice"),
    ],
)
def test_other_margins_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_margins(texts)


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [
        (-0.009, 0.02, 0.01, "ok"),
        (-0.01, 0.02, 0.01, "ok"),  # not below
        (-0.011, 0.02, 0.01, "a larger drop is not excluded"),
        (-0.03, -0.011, 0.01, "it dropped by more"),
        (0.0, 0.0, 0.0, "ok"),
        (-0.001, 0.0, 0.0, "a larger drop is not excluded"),
    ],
)
def test_the_pessimistic_end_decides(low: float, high: float, margin: float, verdict: str) -> None:
    check = Check("joint.f1", margin, Difference(0.5, 0.5, low, high, 1.0, 0.01))
    assert (check.verdict, check.passed) == (verdict, verdict == "ok")


def gate(tmp_path: Path, base: list[list[str]], new: list[list[str]], margin: float = 0.01) -> Gate:
    sides = [
        side_of_file(answered.write(tmp_path / name, *made))
        for name, made in (("甲", base), ("乙", new))
    ]
    return judge(compare(*sides, protocol="strict", resamples=999), {"joint.f1": margin})


@pytest.mark.parametrize("margin", [0, 0.01])
def test_an_identical_run_passes(tmp_path: Path, margin: float) -> None:
    assert gate(tmp_path, dropped(2), dropped(2), margin).passed


def test_a_planted_drop_of_three_points_does_not(tmp_path: Path) -> None:
    found = gate(tmp_path, perfect(40), dropped(40))
    assert [check.verdict for check in found.checks] == ["it dropped by more"]
    assert (found.passed, found.risen) == (False, {})
    assert gate(tmp_path, perfect(40), dropped(40), margin=0.05).passed
    assert gate(tmp_path, dropped(40), perfect(40), margin=0).passed


def test_a_drop_that_few_dialogues_cannot_exclude_does_not_pass(tmp_path: Path) -> None:
    found = gate(tmp_path, dropped(4), perfect(4), margin=0.5)
    assert [check.verdict for check in found.checks] == ["a larger drop is not excluded"]


def test_more_failures_of_a_kind_do_not_pass_whatever_the_scores(tmp_path: Path) -> None:
    base, new = perfect(40), perfect(40)
    base[0][0] = official.EMPTY
    new[0][0] = "无"  # as empty, but malformed
    found = gate(tmp_path, base, new)
    assert all(check.passed for check in found.checks)
    assert (found.passed, found.risen) == (False, {"malformed": (0, 1)})
    assert gate(tmp_path, new, base).passed


def test_less_coverage_does_not_pass(tmp_path: Path) -> None:
    """One request that both failed and was refused becomes two requests, one of each."""
    made = {
        "甲": [{"error": "", "refused": ""}, {}],
        "乙": [{"error": ""}, {"refused": ""}],
    }
    sides = []
    for name, failures in made.items():
        lines = answered.lines(["", ""], *perfect(20))
        for line, failed in zip(lines, failures, strict=False):
            line["f2r"] = {"failures": failed}
        sides.append(side_of_file(official.write(tmp_path / name, *lines)))
    found = judge(compare(*sides, protocol="published", resamples=199), {"joint.f1": 1})
    assert found.risen == {"unanswered": (1, 2)}
    assert not found.passed
