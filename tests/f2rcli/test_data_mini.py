"""f2r data mini: the synthetic sets by name, and siblings of one's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from f2rcli.tasks.mini.cache import cached_file

Run = Callable[..., Any]


def test_mini_sets_are_made_once_and_named(f2r: Run, small_mini: Path) -> None:
    ended = f2r("data", "mini")
    assert (ended.code, ended.err) == (0, "")
    files = [cached_file(name) for name in ("mini-mldr", "mini-wechat")]
    assert ended.out.splitlines() == [f"{file.stem} (synthetic): {file}" for file in files]
    before = [file.stat().st_mtime_ns for file in files]
    assert f2r("data", "mini") == ended
    assert [file.stat().st_mtime_ns for file in files] == before
    assert not cached_file("mini-mldr-train").exists()
    third = f2r("data", "mini", "mini-mldr-train", "mini-mldr-train").out
    assert third == f"mini-mldr-train (synthetic): {cached_file('mini-mldr-train')}\n"


def test_a_seed_makes_siblings_that_are_sound(f2r: Run, small_mini: Path) -> None:
    ended = f2r("data", "mini", "--seed", "7", "-o", "姊妹")
    assert (ended.code, ended.err) == (0, "")
    told = [line.split(": ") for line in ended.out.splitlines()]
    for name, (what, file) in zip(("mini-mldr", "mini-wechat"), told, strict=True):
        assert what.startswith(f"{name} (synthetic), seed 7, digest ")
        assert len(what.split()[-1]) == 12
        assert file == f"姊妹/{name}/{name}.jsonl"
        assert (
            f2r("data", "check", file).out
            == f"{file}: 20 records, 20 requests, 0 problems, 0 warnings\n"
        )
    assert not small_mini.exists()
    again = f2r("data", "mini", "mini-wechat", "--seed", "7", "--out", "又一个")
    assert again.out.split(": ")[0] == told[1][0]  # the same digest
    other = f2r("data", "mini", "mini-wechat", "--seed", "8", "--out", "第三个")
    assert other.out.split()[-2] != again.out.split()[-2]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["mini-wechat", "wechat"],
            "no mini set 'wechat'; there are mini-mldr, mini-wechat, mini-mldr-train, mini-mldr-grpo",
        ),
        (
            ["mini"],
            "no mini set 'mini'; there are mini-mldr, mini-wechat, mini-mldr-train, mini-mldr-grpo",
        ),
        (["--seed", "7"], "--seed and --out belong together"),
        (["-o", "新"], "--seed and --out belong together"),
        (["--seed", "七", "-o", "新"], "Invalid value for '--seed': '七' is not a valid integer."),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is(
    f2r: Run, small_mini: Path, args: list[str], said: str
) -> None:
    assert f2r("data", "mini", *args).complaint() == f"{said} (see `f2r data mini --help`)"
    assert not small_mini.exists()
    assert not Path("新").exists()


def test_a_sibling_is_not_written_over_what_is_there(f2r: Run, small_mini: Path) -> None:
    Path("姊妹/mini-wechat").mkdir(parents=True)
    for _ in range(2):  # a part of the job is not done either
        complaint = f2r("data", "mini", "--seed", "7", "-o", "姊妹").complaint()
        assert complaint == "姊妹/mini-wechat: is there already; give another folder"
    assert [path.name for path in Path("姊妹").rglob("*")] == ["mini-wechat"]
    Path("文件").touch()
    assert "文件" in f2r("data", "mini", "--seed", "7", "-o", "文件").complaint()


def test_a_cache_that_cannot_be_written_is_one_clear_line(f2r: Run, small_mini: Path) -> None:
    small_mini.touch()
    for command in (
        ["data", "mini"],
        ["data", "stats", "mini-mldr"],
        ["eval", "-m", "bm25", "-t", "mini"],
    ):
        assert f2r(*command).complaint() == (
            f"{small_mini}: the mini sets cannot be kept there (File exists); F2R_CACHE says where else"
        )
