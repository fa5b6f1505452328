"""From a name to a row, and from a row to something that retrieves."""

import json
from pathlib import Path

import pytest
from short_chats import fragment, request

from f2rcli.adapters.lexical import BM25
from f2rcli.adapters.reference import Random
from f2rcli.adapters.registry import Settings, build, find_row, load_rows
from f2rcli.adapters.retriever import Retriever
from f2rcli.adapters.rules import API_KINDS
from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.answers import parse_strict
from f2rcli.tasks.errors import InputError

BAD_NAMES = ("", " ", "我的 ", "a\nb", "a\tb", "hf:x", "a:b", "x.py:Y")  # each would be something else
REFERENCES = ("random", "everything", "nothing", "oracle", "bm25")


def build_own(file: Path) -> Retriever:
    rows = load_rows(file)
    (own,) = rows.keys() - load_rows().keys()
    return build(rows[own], Settings())


def refused(file: Path) -> str:
    """The one line that a registry file, or the building of its only own row, is refused with."""
    with pytest.raises(InputError) as caught:
        build_own(file)
    line = str(caught.value)
    assert "\n" not in line
    return line


def registry(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "我的.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_shipped_row_says_what_it_is() -> None:
    rows = load_rows()
    assert {*REFERENCES, "qwen2-vl", "qwen2.5-vl", "qwen3-vl"} <= rows.keys()
    for name, row in rows.items():
        assert row.name == name
        assert row.about
        assert row.trained != "unknown"


@pytest.mark.parametrize("name", REFERENCES)
def test_rows_without_a_checkpoint_can_be_built_and_asked(name: str) -> None:
    one = request("那家面馆在哪儿", "走五分钟", query="面馆", gold=fragment([0]))
    (retrieval,) = build(find_row(name, load_rows()), Settings()).retrieve([one])
    assert parse_strict(retrieval.text or "") is not None


def test_sizes() -> None:
    rows = load_rows()
    assert find_row("qwen2-vl", rows).settings["checkpoint"] == "Qwen/Qwen2-VL-7B-Instruct"
    small = find_row("qwen2-vl:2b", rows)
    assert small.name == "qwen2-vl:2b"
    assert small.settings["checkpoint"] == "Qwen/Qwen2-VL-2B-Instruct"
    for row in rows.values():
        for size, checkpoint in row.sizes.items():
            assert find_row(f"{row.name}:{size}", rows).settings["checkpoint"] == checkpoint


def test_a_size_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"no size '9b'.*2b, 7b, 72b"):
        find_row("qwen2-vl:9b", load_rows())


@pytest.mark.parametrize("name", ["qwen", "hf:", "bm25:7b", "models.py:", "", "面馆"])
def test_an_unknown_name_is_answered_with_where_names_are(name: str) -> None:
    with pytest.raises(InputError, match="f2r models"):
        find_row(name, load_rows())


def test_hf_path_is_any_checkpoint(tiny_qwen2_vl: Path) -> None:
    row = find_row(f"hf:{tiny_qwen2_vl}", load_rows())
    retriever = build(row, Settings(batch_size=3, max_new_tokens=2))
    assert isinstance(retriever, VLM)
    (retrieval,) = retriever.retrieve([request("你好")])
    assert retrieval.output_tokens is not None
    assert retrieval.output_tokens <= 2
    assert retriever.environment()["batch_size"] == 3


def test_rows_of_ones_own_come_after_ours(tmp_path: Path) -> None:
    text = '["我的bm25"]\nkind = "bm25"\ncutoff = 0.4\n[half]\nkind = "random"\nshare = 0.5\n'
    rows = load_rows(registry(tmp_path, "\ufeff" + text))  # Windows editors write the mark
    assert list(rows)[-2:] == ["我的bm25", "half"]
    mine, half = build(rows["我的bm25"], Settings()), build(rows["half"], Settings(seed=5))
    assert isinstance(mine, BM25)
    assert mine.cutoff == 0.4
    assert isinstance(half, Random)
    assert half.identity() == {"share": 0.5, "seed": 5}


def test_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    file = registry(tmp_path, '[bm25]\nkind = "bm25"\ncutoff = 0.9\n[oracle]\nkind = "oracle"\n')
    assert refused(file) == f"{file}: the names bm25, oracle are taken; rename the rows"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[m]\nkind = "clip"\n', "row m: kind 'clip' is none of"),
        ('[m]\nabout = "?"\n', "row m: kind None is none of"),
        ('m = "bm25"\n', "row m: kind None is none of"),
        ('[m]\nkind = "bm25"\ncutof = 0.3\n', "row m: bm25 has no setting cutof"),
        ('[m]\nkind = "bm25"\n', "row m: lacks cutoff"),
        ('[m]\nkind = "transformers"\n', "row m: lacks checkpoint"),
        ('[m]\nkind = "python"\nclass = "C"\n', "row m: lacks file"),
        ('[m]\nkind = "transformers"\nsize = "9b"\nsizes = {7b = "a/b"}\n', "row m: size is none of"),
        ('[m\nkind = "bm25"\n', "not TOML"),
        (
            '[m]\nkind = "embedding"\ncheckpoint = "a/b"\nutterance_threshold = 0.5\ntop_k = 2\n',
            "row m: says both thresholds and top_k",
        ),
        *((f"[{json.dumps(name)}]\nkind = 'oracle'\n", f"{name!r} is not a name") for name in BAD_NAMES),
    ],
)
def test_a_row_that_cannot_work_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = registry(tmp_path, text)
    line = refused(file)
    assert line.startswith(str(file))
    assert said in line


@pytest.mark.parametrize(
    "row",
    [
        'kind = ["bm25"]',
        'kind = "bm25"\ncutoff = "high"',
        'kind = "random"\nshare = 2.0',
        'kind = "random"\nshare = -0.5',
        'kind = "transformers"\nsize = "2b"\nsizes = "2b"',
        'kind = "transformers"\ncheckpoint = 3',
        'kind = "python"\nfile = 3\nclass = "C"',
    ],
)
def test_a_setting_of_the_wrong_type_is_named(tmp_path: Path, row: str) -> None:
    file = registry(tmp_path, f"[m]\n{row}\n")
    assert str(file) in refused(file)


def test_a_registry_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert str(tmp_path / "没有.toml") in refused(tmp_path / "没有.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'[m]\nkind = "bm25"\nabout = "caf\xe9"\ncutoff = 0.1\n')
    assert str(latin) in refused(latin)


def test_rows_behind_an_api_name_their_key_and_where_they_are() -> None:
    rows = {name: row for name, row in load_rows().items() if row.kind in API_KINDS}
    published = {"gpt-4o", "gemini-2.5-flash", "claude-sonnet-4", "doubao-seed-1.6"}
    assert published | {"qwen2.5-vl-72b-hosted"} <= rows.keys()
    for row in rows.values():
        assert {"endpoint", "model", "key", "max_pixels"} <= row.settings.keys()
        assert row.trained == "zero-shot"


@pytest.mark.parametrize("kind", API_KINDS)
def test_a_model_behind_an_api_needs_no_row(kind: str) -> None:
    row = find_row(f"{kind}:org/Model-7B:v1", load_rows())
    assert (row.kind, row.settings) == (kind, {"model": "org/Model-7B:v1"})


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('key = "sk-geheim"', "key is not the name of an environment variable"),
        ('takes_temperature = "no"', "true or false"),
        ("body = {day = 2026-01-01}", "a table without dates"),
        ("max_images = 0", "a whole number above 0"),
        ('dtype = "float32"', "openai has no setting dtype"),
        ('about = "x"', "lacks model"),
    ],
)
def test_a_row_behind_an_api_that_cannot_work(tmp_path: Path, line: str, what: str) -> None:
    model = "" if what == "lacks model" else 'model = "x"\n'
    told = refused(registry(tmp_path, f'[m]\nkind = "openai"\n{model}{line}\n'))
    assert what in told
    assert "geheim" not in told
