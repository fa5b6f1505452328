"""f2r eval: what it notes on standard error, and rows of one's own beside their code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
import pytest

Run = Callable[..., Any]


@pytest.fixture
def calibrated(f2r: Run, chats: Path) -> Path:
    """A registry file with the row 自己的, whose cut-off was chosen on the chats."""
    assert f2r("calibrate", "-t", chats, "--name", "自己的", "-o", "行.toml").code == 0
    return Path("行.toml")


def test_a_record_that_is_odd_is_noted(f2r: Run, chats: Path) -> None:
    written = json.loads(chats.read_text(encoding="utf-8"))
    for gold in written[0]["gt_turns"][:2]:
        gold.append(99)
    chats.write_text(json.dumps(written), encoding="utf-8")
    command = ("eval", "-m", "nothing", "-t", chats)
    ended = f2r(*command)
    assert ended.code == 0
    [note] = [line for line in ended.err.splitlines() if "oddities" in line]
    assert note.startswith(f"聊天: 2 oddities, such as {chats}:1 (record 0): ")
    assert "[99]" in note
    assert note.endswith("`f2r data check` lists them")
    assert "oddities" not in ended.out
    assert f2r(*command, "--quiet").err == ""


def test_a_sound_file_needs_no_note(f2r: Run, chats: Path) -> None:
    assert "oddities" not in f2r("eval", "-m", "nothing", "-t", chats).err


@pytest.mark.parametrize("more", [(), ("--quiet",)])
def test_a_cut_off_chosen_on_the_very_file_is_noted(
    f2r: Run, chats: Path, calibrated: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    other = handmade.write_chats(tmp_path / "别的", handmade.chat("别的"))
    Path("抄本.json").write_bytes(chats.read_bytes())
    (chats.parent / "图片").rename("图片")
    command = ("eval", "-m", "自己的", "bm25", "--registry", calibrated, "-t")
    for path, noted in ((chats, True), (Path("抄本.json"), True), (other, False)):
        ended = f2r(*command, path, *more)
        assert ended.code == 0
        told = f"自己的 on {path.stem}: its cut-off was chosen on this file"
        assert [line for line in ended.err.splitlines() if "chosen" in line] == [f"f2r: {told}"] * noted
        assert [line for line in ended.out.splitlines() if "chosen" in line] == [told] * noted


@pytest.mark.parametrize("form", ["rich", "latex", "markdown", "json"])
def test_every_table_and_the_report_mark_what_was_chosen_on_the_data(
    f2r: Run, chats: Path, calibrated: Path, form: str
) -> None:
    """Also once the row no longer says so; other rows are not marked."""
    command = ("eval", "-m", "自己的", "bm25", "--registry", calibrated, "-t", chats, "--quiet")
    assert f2r(*command).code == 0
    cut = [line for line in calibrated.read_text("utf-8").splitlines() if "chosen_on" not in line]
    calibrated.write_text("\n".join(cut), encoding="utf-8")
    again = f2r(*command)
    assert (again.code, again.err) == (0, "")
    told = "自己的 on 聊天: its cut-off was chosen on this file"
    assert f2r("table", "--format", form).out.count("was chosen on") == 1
    assert told in f2r("table", "--format", form).out
    assert f2r("report", "runs", "-o", "报告.html").code == 0
    assert told in Path("报告.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["子", "."])
def test_a_row_names_its_code_from_where_it_is(
    f2r: Run, chats: Path, model: Callable[[str], str], folder: str
) -> None:
    code = Path(model("yield found(request, Fragment())").rpartition(":")[0])
    Path(folder).mkdir(exist_ok=True)
    code.rename(Path(folder) / "mine.py")
    registry = Path(folder) / "rows.toml"
    registry.write_text('[mine]\nkind = "python"\nfile = "mine.py"\nclass = "Own"\n')
    ended = f2r("eval", "-m", "mine", "-t", chats, "--registry", registry, "--quiet")
    assert (ended.code, ended.err) == (0, "")
    said = f2r("retrieve", "-m", "mine", chats, "帐篷", "--registry", registry)
    assert (said.code, said.err) == (0, "")


def test_mini_is_both_mini_sets_and_both_are_called_synthetic(f2r: Run, small_mini: Path) -> None:
    ended = f2r("eval", "-m", "oracle", "bm25", "-t", "mini", "example", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["mini-mldr", "mini-wechat"],
        ["(synthetic)", "(synthetic)", "example"],
    ]
    for name in ("mini-mldr", "mini-wechat"):
        assert f"{name}: 20 requests, synthetic, strict protocol, micro average" in lines
    assert "example: 7 requests, strict protocol, micro average" in lines
    assert lines[3].split() == ["oracle", "reference", *["100.00"] * 12]
    table = f2r("table", "runs")
    assert table.out.splitlines() == [line for line in lines if not line.startswith("run: ")]
    for record in Path("runs").rglob("scores.json"):
        stored = json.loads(record.read_text(encoding="utf-8"))
        made = record.parts[1].startswith("mini-")
        assert [part.get("synthetic") for part in stored.values()] == [made or None] * 2


def test_a_mini_set_that_is_there_is_not_made_again(f2r: Run, small_mini: Path) -> None:
    command = ("eval", "-m", "bm25", "-t", "mini", "--quiet")
    first = f2r(*command)
    made = {file: file.stat().st_mtime_ns for file in small_mini.rglob("*.jsonl")}
    assert len(made) == 2
    assert f2r(*command) == first
    assert {file: file.stat().st_mtime_ns for file in small_mini.rglob("*.jsonl")} == made
