"""A baseline stands for its run in a comparison, and holds no word of its data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import answered
import pytest
from answered import GOLD, MISSED, dropped, perfect
from handmade import Scripted, answer, evaluated, says

from f2rcli.results.baseline import read_baseline, write_baseline
from f2rcli.results.compare import compare
from f2rcli.results.outcomes import Side, side_of_file
from f2rcli.results.sides import read_side
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    side = side_of_file(answered.write(tmp_path / "预测.jsonl", *dropped(6), ["无", MISSED]))
    write_baseline(side, tmp_path / "基线.json")
    return tmp_path / "基线.json"


def test_it_is_the_side_that_it_was_made_of(chats: Path, out: Path, tmp_path: Path) -> None:
    said = iter([answer([2, 3]), Failure("error", "超时"), "?"])
    side = read_side(evaluated(Scripted(lambda request: next(said), uses_images=True), chats, out).path)
    path = tmp_path / "基线.json"
    write_baseline(side, path)
    samples = [replace(sample, shown="") for sample in side.samples]
    assert read_baseline(path) == replace(side, source=path, samples=samples)
    assert read_side(path) == read_baseline(path)


def test_it_compares_as_its_run_does(baseline: Path, tmp_path: Path) -> None:
    new = side_of_file(answered.write(tmp_path / "新.jsonl", *perfect(6), [GOLD, GOLD]))
    old = read_side(tmp_path / "预测.jsonl")
    for protocol in ("published", "strict"):
        options: Any = {"protocol": protocol, "resamples": 199}
        one, other = compare(old, new, **options), compare(read_side(baseline), new, **options)
        assert one.differences == other.differences
        assert (one.wins(), len(one.flips()["gained"])) == (other.wins(), len(other.flips()["gained"]))
        pair = other.flips()["gained"][0]
        assert str(new.source) in other.show_command(pair)
    back = compare(new, read_side(baseline), resamples=199)
    pair = back.flips()["lost"][0]
    assert str(new.source) in back.show_command(pair)
    alone = compare(read_side(baseline), read_side(baseline), resamples=199)
    assert alone.show_command(alone.pairs[0]) == f"request {alone.pairs[0].new.request}"


def test_nothing_of_the_data_is_in_it(chats: Path, out: Path, tmp_path: Path) -> None:
    run = evaluated(says(answer([2, 3]) + "秘密", uses_images=True), chats, out)
    path = tmp_path / "基线.json"
    write_baseline(read_side(run.path), path)
    text = path.read_text(encoding="utf-8")
    for word in ("露营", "帐篷", "蛋糕", "小林", "第0句", "png", "图片", "秘密", str(chats.parent)):
        assert word not in text
    assert json.loads(text)["name"] == "手写 模型"


def test_every_request_is_a_line(baseline: Path) -> None:
    rows = [line for line in baseline.read_text(encoding="utf-8").splitlines() if line.startswith("[")]
    assert len(rows) == 14
    assert json.loads(rows[0].removesuffix(","))[0] == 0


def test_another_order_of_keys_and_another_layout_are_the_same(baseline: Path) -> None:
    before = read_baseline(baseline)
    value = json.loads(baseline.read_text(encoding="utf-8"))
    head = {"f2r_baseline": value.pop("f2r_baseline")}
    baseline.write_text(json.dumps({**head, **dict(sorted(value.items()))}), encoding="utf-8-sig")
    assert read_side(baseline) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("]\n", "\n"), "damaged"),
        (("true", "false"), "damaged"),
        (('"requests"', '"questions"'), "damaged"),
        (('"f2r_baseline": 1', '"f2r_baseline": 2'), "format 2"),
        (('"f2r_baseline": 1', '"f2r_baseline": [1]'), "format"),
    ],
)
def test_a_damaged_one_is_named_with_the_way_out(
    baseline: Path, change: tuple[str, str], said: str
) -> None:
    text = baseline.read_text(encoding="utf-8")
    assert change[0] in text
    baseline.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        read_side(baseline)
    assert str(baseline) in str(caught.value)
    assert "f2r baseline RUN" in str(caught.value)


def test_a_torn_one_is_damaged(baseline: Path) -> None:
    baseline.write_bytes(baseline.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged"):
        read_side(baseline)


@pytest.mark.parametrize("content", ['{"scores": 1}', "[]", "{}", "基线"])
def test_a_foreign_file_is_one_clear_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "别的.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_side(path)
    assert str(caught.value).startswith(str(path))


def test_it_is_written_whole_or_not_at_all(baseline: Path, tmp_path: Path) -> None:
    before = baseline.read_bytes()
    side: Side = replace(read_baseline(baseline), settings={"坏": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        write_baseline(side, baseline)
    assert baseline.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []
