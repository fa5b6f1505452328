"""Runs as the sides of a comparison: what is read of them, and what is said of how they differ."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import Scripted, answer, evaluated, says

from f2rcli.results.compare import Comparison, compare, failures_of
from f2rcli.results.outcomes import Side
from f2rcli.results.sides import read_side
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.probes import Probe
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Failure, Request


def quick(base: Side, new: Side, **options: Any) -> Comparison:
    return compare(base, new, resamples=199, **options)


def run_side(retriever: Scripted, chats: Path, out: Path, **options: Any) -> Side:
    return read_side(evaluated(retriever, chats, out, **options).path)


def test_a_run_is_paired_with_a_run_of_another_model_and_with_a_bare_file(
    chats: Path, out: Path, tmp_path: Path
) -> None:
    base = run_side(says(answer([2])), chats, out)
    new = run_side(says(answer([2, 3]), config=1), chats, out)
    assert (base.name, base.protocol, base.task) == ("手写 模型", "strict", "聊天")
    found = quick(base, new)
    assert found.stated == ("settings differ: config",)
    # gold: 2, 3, 4 with a picture; 7 with a picture; nothing
    assert found.wins() == {"won": 1, "tied": 2, "lost": 0}
    copy = tmp_path / "拷贝.jsonl"
    copy.write_bytes((new.source / "predictions.jsonl").read_bytes())
    bare = quick(base, read_side(copy), protocol="strict")
    assert (bare.differences, bare.wins()) == (found.differences, found.wins())
    assert bare.stated == (f"model and decoding of {copy} are not known",)


def test_another_prompt_is_stated_and_not_refused(chats: Path, out: Path, tmp_path: Path) -> None:
    task = load_task(str(chats))
    other = replace(task, template=PromptTemplate({"": "{dialogue}\n请找：{query}\n只写编号"}))
    sides = [read_side(evaluated(says(answer([2])), each, out).path) for each in (task, other)]
    assert quick(*sides).stated == ("prompts differ in 3 of 3 requests",)


def test_pictures_that_changed_under_the_same_names_are_refused(chats: Path, out: Path) -> None:
    sides = [run_side(says(answer([2]), uses_images=True), chats, out)]
    (chats.parent / "图片/3.png").write_bytes(b"another picture")
    sides.append(run_side(says(answer([5]), uses_images=True), chats, out))
    with pytest.raises(InputError, match="other pictures of the same names"):
        quick(*sides)
    assert len(quick(*sides, force=True).forced) == 1
    blind = run_side(says(answer([5])), chats, out)
    assert quick(sides[0], blind).forced == ()


def test_failures_are_counted_by_kind(chats: Path, out: Path) -> None:
    said: dict[str, str | Failure] = {
        "露营:0": Failure("error", "超时"),
        "露营:1": Failure("refused"),
        "露营:2": "?",
    }

    def says_of(request: Request) -> str | Failure:
        return said[request.id]

    side = run_side(Scripted(says_of), chats, out)
    found = failures_of(sample.outcomes["strict"] for sample in side.samples)
    assert found == {"error": 1, "refused": 1, "truncated": 0, "malformed": 1, "unanswered": 2}


def test_an_interrupted_run_is_compared_as_far_as_it_went_and_says_so(chats: Path, out: Path) -> None:
    def broken(request: Request) -> str:
        if retriever.asked[1:]:
            raise ZeroDivisionError
        return answer([2, 3, 4], [0])

    retriever = Scripted(broken)
    with pytest.raises(ZeroDivisionError):
        evaluated(retriever, chats, out)
    [record] = out.rglob("run.json")
    side = read_side(record.parent)
    assert side.notes == (
        f"{record.parent / 'predictions.jsonl'}: 2 of 3 requests were not asked",
        f"{record.parent} was interrupted",
    )
    counted = failures_of(s.outcomes["strict"] for s in side.samples)
    assert (counted["error"], counted["unanswered"]) == (0, 2)


@pytest.mark.parametrize("name", ["文件夹", "没有"])
def test_what_is_no_side_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "文件夹").mkdir()
    with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
        read_side(tmp_path / name)


def test_synthetic_requests_make_a_synthetic_comparison(out: Path, tmp_path: Path) -> None:
    task = handmade.write_chats(tmp_path / "造的", handmade.chat() | {"shares": ["synthetic"]})
    side = run_side(says(answer()), task, out)
    assert quick(side, side).synthetic


def test_a_probe_run_is_paired_with_its_plain_run_request_by_request(chats: Path, out: Path) -> None:
    plain = run_side(says(answer([2])), chats, out)
    probed = run_side(says(answer([2])), chats, out, probe=Probe("shuffle-turns"))
    found = quick(plain, probed)
    assert (found.forced, len(found.pairs)) == ((), 3)
    assert [pair.base.shown for pair in found.pairs] == [pair.new.shown for pair in found.pairs]
    assert found.stated == (
        f"the same requests, {plain.source} under no probe and {probed.source} under shuffle-turns",
    )
    assert probed.name == "手写 模型, probe shuffle-turns"


def test_a_probe_of_other_requests_is_refused(chats: Path, out: Path) -> None:
    plain = run_side(says(answer([2])), chats, out)
    probed = run_side(says(answer([2])), chats, out, probe=Probe("shuffle-turns"), limit=2)
    with pytest.raises(InputError, match="not the same requests"):
        quick(plain, probed)
