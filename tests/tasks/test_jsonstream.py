"""Sound files: every layout gives the same values with their places, in little memory."""

import codecs
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from f2rcli.tasks.jsonstream import CHUNK, read_values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(), JSON, min_size=1, max_size=4), min_size=1, max_size=6)
LAYOUTS = {
    "one line": lambda records: json.dumps(records, ensure_ascii=False),
    "escaped": lambda records: json.dumps(records),
    "pretty": lambda records: json.dumps(records, ensure_ascii=False, indent=2),
    "lines": lambda records: "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records),
    "objects": lambda records: "\n\n".join(json.dumps(r, indent=1) for r in records) + "\n",
}


def values(path: Path) -> list[Any]:
    return [entry.value for entry in read_values(path)]


def places(path: Path) -> list[tuple[int, int]]:
    return [(entry.line, entry.number) for entry in read_values(path)]


@pytest.mark.parametrize("start", [b"", codecs.BOM_UTF8], ids=["plain", "bom"])
@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=40, deadline=None)
@given(records=RECORDS)
def test_every_layout_gives_the_same_values(
    layout: str, start: bytes, records: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "值.json"
    path.write_bytes(start + LAYOUTS[layout](records).encode())
    assert values(path) == records


def test_an_empty_array_has_no_values(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(" [ \n ] \n")
    assert values(path) == []


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_value_knows_the_line_it_begins_on(newline: str, tmp_path: Path) -> None:
    path = tmp_path / "聊天.json"
    path.write_bytes(newline.join(["", "[{", '"a": "猫"', '}, {"b": 2},', "", '{"c": 3}]']).encode())
    assert places(path) == [(2, 0), (4, 1), (6, 2)]
    assert [entry.where for entry in read_values(path)][2] == f"{path}:6 (record 2)"


def test_empty_lines_of_json_lines_count_as_lines_and_not_as_records(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n  \n{"b": 2}\n{"c": 3}')
    assert places(path) == [(1, 0), (4, 1), (5, 2)]


def test_a_string_may_hold_what_elsewhere_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    said = {"said": 'a\u2028b\u0085c]},{ \\" 🐱'}
    path.write_text((json.dumps(said, ensure_ascii=False) + "\n") * 2, encoding="utf-8")
    assert values(path) == [said, said]


def test_a_value_may_lie_across_the_window_at_any_byte(tmp_path: Path) -> None:
    last = {"名": "小猫🐱\\", "e": [True, None, -1.5e-7, 120], "s": {}}
    tail = (
        json.dumps(last, ensure_ascii=False).replace("小", "\\u5c0f").replace("🐱", "\\ud83d\\ude00🐱")
    )
    expected = json.loads(tail)
    path = tmp_path / "a.json"
    for inside in range(len(tail.encode()) + 2):  # so many bytes of the last value in the first window
        first = '[{"p": "' + "a" * (CHUNK - inside - len('[{"p": ""},')) + '"},'
        path.write_bytes((first + tail + "]").encode())
        assert values(path)[1] == expected


def test_megabytes_on_one_line(tmp_path: Path) -> None:
    records = [{"id": n, "text": "长" * (n % 7) * 100_000, "end": "。"} for n in range(9)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    assert path.stat().st_size > 6 << 20
    assert values(path) == records
    assert places(path)[-1] == (1, 8)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    one = json.dumps({"messages": [{"role": "user", "content": "你好🐱" * 1000}]}, ensure_ascii=False)
    count = (30 << 20) // len(one.encode())
    path.write_text("[" + ", ".join([one] * count) + "]", encoding="utf-8")
    tracemalloc.start()
    try:
        read = sum(1 for _ in read_values(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == count
    assert peak < 15 << 20


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"a": {"b": [{"c": 1}]}, "d": [{}, {"e": "猫"}]}, indent=2),
        '{\n"a":\n{"b": 1},\n"d": [\n{"e": 2},\n{"f": 3}\n]\n}\n',
        '\n{\n  "a": [\n    {"b": 1},\n    {"c": 2}\n  ]\n}',
        '{"a": [\n{"b": 1},\n{"c": 2}\n]}',
        '{"a":\n{"b": 1}\n}',
    ],
)
def test_one_object_over_several_lines_is_one_value(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    assert values(path) == [json.loads(text)]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no pipes with names")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pipe_is_read_like_a_file(layout: str) -> None:
    records = [{"n": 1}, {"text": "面馆"}]
    reader, writer = os.pipe()
    try:
        os.write(writer, LAYOUTS[layout](records).encode())
        os.close(writer)
        assert values(Path(f"/dev/fd/{reader}")) == records
    finally:
        os.close(reader)
