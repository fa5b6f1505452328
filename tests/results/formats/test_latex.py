"""Tables for LaTeX: nothing from the data is ever markup, and what is printed compiles."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from handmade import answer, evaluated
from hypothesis import given
from hypothesis import strategies as st
from tabled import many, row, says, seeds

from f2rcli.results.formats.latex import escaped, latex
from f2rcli.results.layouts import lay_out
from f2rcli.results.rows import Table
from f2rcli.results.significance import compare_rows
from f2rcli.results.tables import build_table
from f2rcli.tasks.datasets import load_task

GOLD, MISSED = answer([2, 3, 4], [0]), answer([2, 3], [0])
HOSTILE = "a_b&c% \\input{x} ~^#$ {<}> | \"'' `` -- [1em] * ?` \u202e\x00\n行"
CJK_FONT = "WenQuanYi Zen Hei"


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("a_b&c%", r"a\_b\&c\%"),
        ("#$ {}", r"\#\$ \{\}"),
        ("\\~^", r"\textbackslash{}\textasciitilde{}\textasciicircum{}"),
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
        ("\"it's`", r"{\char34}it's\textasciigrave{}"),
        ("[1]*", "{[}1{]}{*}"),
        ("a---b ''", "a-{}-{}-b '{}'"),  # no dashes or quotes of other kinds
        ("35–65 † ±", r"35--65 \textdagger{} $\pm$"),
        ("一\n二\u00a0三\u2028四", "一 二 三 四"),
        ("a\u202eb\ud800", "ab\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_special_characters_are_escaped(text: str, set_as: str) -> None:
    assert escaped(text) == set_as


@given(st.text())
def test_no_special_character_of_any_text_is_left(text: str) -> None:
    """Without the commands that stand for signs nothing is left that LaTeX would not print."""
    commands = r"\\(text[a-z]+\{\}|[&%$#_{}])|\$\\(pm|leq|Delta)\$|\{(\\char34|[][*])?\}"
    bare = re.sub(commands, "", escaped(text))
    assert not set(bare) & set('\\&%$#_{}~^<>|"`[]*\n')
    assert "''" not in bare.replace("'", "") + escaped(text)


def sheet_of(table: Table, **more: str) -> str:
    return latex(lay_out(table, "main", compare_rows(table, more["against"]) if more else None))


@pytest.fixture
def synthetic(out: Path, tmp_path: Path) -> Table:
    """乙 misses a third of the utterances, 丙 a third of the utterances in every dialogue but one."""
    task = replace(load_task(str(many(tmp_path / "造的", 8, shares=["synthetic"]))), name="造_的")
    models = {"甲": GOLD, "乙": MISSED, "丙": lambda r: GOLD if r.dialogue.id == "对话0" else MISSED}
    runs = [evaluated(says(m), task, out, row=row(name)) for name, m in models.items()]
    return build_table([*runs, evaluated(says(GOLD), task, out, row=row("参照", "reference"))])


def test_the_table_has_groups_faces_and_notes(synthetic: Table) -> None:
    lines = sheet_of(synthetic).splitlines()
    body = lines[lines.index(r"\begin{table}") :]
    assert body[2:6] == [
        r"\begin{tabular}{llrrrr}",
        r"\toprule",
        r" &  & \multicolumn{4}{c}{造\_的 (synthetic)} \\",
        r"\cmidrule(lr){3-6}",
    ]
    rows = {line.split("&")[0].strip(): line.split("&") for line in body if line.count("&") == 5}
    # Utterance recall 1, 16/24 and 17/24; images are all found.
    assert rows[r"joint, \%"][4].strip() == "F1"
    assert [rows[name][3].strip() for name in ("甲", "乙", "丙", "参照")] == [
        r"\textbf{100.00}",
        "83.33",
        r"\underline{85.42}",
        "100.00",
    ]
    assert [rows[name][2].strip() for name in ("甲", "乙", "丙")] == [r"\textbf{100.00}"] * 3
    assert r"造\_的: 8 requests, synthetic, strict protocol, micro average\par" in body
    assert any(line.startswith("bold: best of a column") for line in body)
    assert body[-1] == r"\end{table}"


def test_the_comments_say_where_the_numbers_come_from(synthetic: Table) -> None:
    comments = [line for line in sheet_of(synthetic).splitlines() if line.startswith("%")]
    assert r"% \usepackage{booktabs}" in comments
    assert any("xeCJK" in line for line in comments)
    run = synthetic.rows[0].runs["造_的"][0]
    assert f"% run of 甲 on 造_的: {run.path}" in comments
    record = run.record()
    digests = record["task"]["file_digest"][:12], record["identity"]["data"][:12]
    [task] = [line for line in comments if line.startswith("% task 造_的: strict protocol")]
    assert all(digest in task for digest in digests)


def test_a_mark_stands_beside_what_differs(synthetic: Table) -> None:
    text = sheet_of(synthetic, against="甲")
    [line] = [line for line in text.splitlines() if line.startswith(" 乙")]
    assert line.split("&")[3].strip() == r"83.33\rlap{$^{*}$}"
    assert line.split("&")[2].strip() == r"\textbf{100.00}"
    assert r"$^{*}$ differs from 甲: p $\leq$ 0.05" in text


def test_published_rows_are_marked(chats: Path, out: Path) -> None:
    task = replace(load_task(str(chats)), name="wechat", protocol="published", named=True)
    text = sheet_of(build_table([evaluated(says(GOLD), task, out)]))
    assert r"F2RVLM (7B) \textdagger{}" in text
    assert r"\textdagger{} published in the F2RVLM paper" in text


@pytest.fixture
def hostile(chats: Path, out: Path) -> Table:
    task = replace(load_task(str(chats)), name=f"任务 {HOSTILE}")
    runs = [evaluated(says("坏"), task, out, row=row(HOSTILE, HOSTILE))]
    runs.append(evaluated(says(GOLD), task, out, row=row("[x] * 甲")))
    return build_table([*runs, *seeds(task, out, GOLD, MISSED)])


def test_every_row_has_as_many_cells_whatever_it_is_called(hostile: Table) -> None:
    lines = sheet_of(hostile).splitlines()
    rows = lines[lines.index(r"\toprule") + 1 : lines.index(r"\bottomrule")]
    cells = [line for line in rows if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(cells) == 4
    assert all(len(re.findall(r"(?<!\\)&", line)) == 5 for line in cells)


def has_latex() -> bool:
    if not all(map(shutil.which, ("xelatex", "kpsewhich", "fc-list"))):
        return False
    found = [
        subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for command in (["kpsewhich", "xeCJK.sty", "ctexhook.sty", "booktabs.sty"], ["fc-list"])
    ]
    return found[0].count(".sty") == 3 and CJK_FONT in found[1]


def test_what_is_printed_compiles(hostile: Table, synthetic: Table, tmp_path: Path) -> None:
    if not has_latex():
        pytest.skip(f"no xelatex with booktabs, xeCJK and {CJK_FONT}")
    tables = [latex(lay_out(hostile, layout)) for layout in ("main", "modality", "length", "ablation")]
    tables.append(sheet_of(synthetic, against="甲"))
    document = [
        r"\documentclass{article}",
        r"\usepackage{booktabs,xeCJK}",
        rf"\setCJKmainfont{{{CJK_FONT}}}",
        r"\begin{document}",
        *tables,
        r"\end{document}",
    ]
    (tmp_path / "a.tex").write_text("\n".join(document), encoding="utf-8")
    command = ["xelatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "a.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    log = (tmp_path / "a.log").read_text(encoding="utf-8", errors="replace")
    assert ended.returncode == 0, log[-2000:]
    assert "Missing character" not in log
    assert (tmp_path / "a.pdf").is_file()
