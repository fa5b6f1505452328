"""Broken files: one line that says what is wrong and where, and nothing sound before it is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from f2rcli.tasks import jsonstream
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values, scan_values

A, B = b'{"a": 1}', b'{"b": "\xe7\x8c\xab"}'
ENDS = "; nothing after it can be read"


def scan(path: Path) -> tuple[list[Any], list[tuple[str, str]]]:
    """Values, and (where, problem) for each thing wrong."""
    entries = list(scan_values(path))
    sound = [entry.value for entry in entries if not entry.problem]
    return sound, [
        (entry.where.removeprefix(str(path)), entry.problem) for entry in entries if entry.problem
    ]


@pytest.mark.parametrize(
    ("raw", "sound", "where", "problem"),
    [
        (b"", 0, ":1 (record 0)", "the file is empty"),
        (b"\xef\xbb\xbf", 0, ":1 (record 0)", "the file is empty"),
        (b"[" + A + b",\n" + B, 2, ":2 (record 2)", "not JSON (the array is not closed)"),
        (b"[" + A + b",\n", 1, ":2 (record 1)", f"not JSON (Expecting value){ENDS}"),
        (
            b"[" + A + b',\n{"b": "cut',
            1,
            ":2 (record 1)",
            "not JSON (Unterminated string)" + ENDS,
        ),
        (b"[" + A + b",\n]", 1, ":2 (record 1)", f"not JSON (Expecting value){ENDS}"),
        (b"[," + A + b"]", 0, ":1 (record 0)", f"not JSON (Expecting value){ENDS}"),
        (b"[" + A + b"\n\n" + B + b"]", 1, ":3 (record 1)", f"not JSON (Expecting ',' delimiter){ENDS}"),
        (b"[" + A + b"]\n\nand more", 1, ":3 (record 1)", "text after the end of the array"),
        (b"[" + A + b"][" + B + b"]", 1, ":1 (record 1)", "text after the end of the array"),
        (
            b"[\n" + A + b',\n{"b":\n "c" "d"}]',
            1,
            ":4 (record 1)",
            f"not JSON (Expecting ',' delimiter){ENDS}",
        ),
        (b"hello", 0, ":1 (record 0)", f"not JSON (Expecting value){ENDS}"),
        ("[1]".encode("utf-16"), 0, ":1 (record 0)", "not UTF-8 (byte 0xff); save the file as UTF-8"),
        (b"[" + A + b",\n" + B[:9], 1, ":2 (record 1)", "not UTF-8 (byte 0xe7); save the file as UTF-8"),
    ],
)
def test_what_is_wrong_and_where(
    raw: bytes, sound: int, where: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "坏.json"
    path.write_bytes(raw)
    values, problems = scan(path)
    assert problems == [(where, problem)]
    assert values == [{"a": 1}, {"b": "猫"}][:sound]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (b'{"a": }', "not JSON (Expecting value)"),
        (b'{"a": "\xff"}', "not UTF-8 (byte 0xff); save the file as UTF-8"),
        (A + B, "not JSON (Extra data)"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON (Exceeds the limit (4300 digits)"),
        (b"[" * 100_000, "not JSON (maximum recursion depth exceeded"),
    ],
    ids=["syntax", "encoding", "two", "digits", "deep"],
)
def test_a_broken_line_of_json_lines_costs_that_line(
    broken: bytes, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([A, broken, B]))
    values, [(where, found)] = scan(path)
    assert values == [{"a": 1}, {"b": "猫"}]
    assert where == ":2 (record 1)"
    assert found.startswith(problem)


@pytest.mark.parametrize("broken", [b'{"a": ', b'{"a": "\xff"}', b"hello", b"}", b'"'])
def test_a_broken_first_line_of_json_lines_costs_that_line(broken: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([broken, A, B]))
    values, [(where, _)] = scan(path)
    assert values == [{"a": 1}, {"b": "猫"}]
    assert where == ":1 (record 0)"


@pytest.mark.parametrize("blank", [b"\n", b"  \n", b"\r\n"])
def test_a_blank_first_line_of_json_lines_costs_nothing(blank: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(blank + b"\n".join([A, b"{", B]))
    values, problems = scan(path)
    assert values == [{"a": 1}, {"b": "猫"}]
    assert [where for where, _ in problems] == [":3 (record 1)"]


def test_utf16_json_lines_are_named_first_of_all(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"a": "猫"}\n{"b": 2}\n'.encode("utf-16"))
    assert scan(path)[1][0] == (":1 (record 0)", "not UTF-8 (byte 0xff); save the file as UTF-8")


def test_reading_stops_at_the_first_problem_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(A + b"\n[1, 2\n" + B)
    read = read_values(path)
    assert next(read).value == {"a": 1}
    with pytest.raises(InputError) as caught:
        next(read)
    assert str(caught.value) == (
        f"{path}:2 (record 1): not JSON (Expecting ',' delimiter); "
        f"`f2r data check {path}` lists every problem"
    )


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        next(read_values(tmp_path / "没有.json"))
    assert str(caught.value) == f"{tmp_path}/没有.json: cannot be read: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        next(read_values(tmp_path))
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_an_early_error_of_a_large_array_is_placed_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    record = json.dumps({"text": "猫" * 1000}, ensure_ascii=False)
    lines = [record] * 1500
    lines[2] = '{"text" "没有冒号"}'
    path.write_text("[\n" + ",\n".join(lines) + "\n]", encoding="utf-8")
    assert path.stat().st_size > 4 * jsonstream.CHUNK
    values, problems = scan(path)
    assert len(values) == 2
    assert problems == [(":4 (record 2)", f"not JSON (Expecting ':' delimiter){ENDS}")]


def test_an_error_beyond_the_window_is_placed_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    record = json.dumps({"text": "猫" * 1000}, ensure_ascii=False)
    path.write_text("[\n" + f"{record},\n" * 1200 + '{"a"\n: 1 2}]', encoding="utf-8")
    values, problems = scan(path)
    assert len(values) == 1200
    assert problems == [(":1203 (record 1200)", f"not JSON (Expecting ',' delimiter){ENDS}")]


def test_a_bad_byte_beyond_the_window_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    record = json.dumps({"text": "猫" * 1000}, ensure_ascii=False).encode()
    path.write_bytes(b"[\n" + (record + b",\n") * 1200 + b'{"a": "\x80"}]')
    with pytest.raises(InputError, match=r"not UTF-8 \(byte 0x80\); save the file as UTF-8") as caught:
        list(read_values(path))
    assert caught.value.where.startswith(f"{path}:1202 ")


def test_a_bad_byte_costs_no_record_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + A + b", " + B + b', {"c": "\xff"}]')
    values, problems = scan(path)
    assert values == [{"a": 1}, {"b": "猫"}]
    assert problems == [(":1 (record 2)", "not UTF-8 (byte 0xff); save the file as UTF-8")]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": ' + b"[" * 100_000,
        b"[\n" * 100_000,
    ],
    ids=["one line", "lines"],
)
def test_endless_nesting_is_a_problem_like_any_other(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(raw)
    values, [(where, problem)] = scan(path)
    assert values == []
    assert where == ":1 (record 0)" or where == ":2 (record 0)"
    assert problem.startswith("not JSON (maximum recursion depth exceeded")


def test_a_string_that_never_ends_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonstream, "MAX_VALUE", 2 << 20)
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + A + b',\n{"b": "' + b"x" * (6 << 20))
    values, problems = scan(path)
    assert values == [{"a": 1}]
    assert problems == [(":2 (record 1)", "not JSON (a record of over 2 MB)")]
