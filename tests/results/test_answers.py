"""Files of answers of several processes become one."""

from pathlib import Path

import pytest

from f2rcli.results.answers import drop_torn_line, gather

A, B, C, D = (f'{{"request": "{name}", "at": "{name}"}}\n'.encode() for name in "甲乙丙丁")


@pytest.mark.parametrize("cut", range(len(C + D) + 1))
def test_gathering_may_be_killed_at_any_byte(tmp_path: Path, cut: int) -> None:
    path, other, third = (tmp_path / name for name in ("answers.jsonl", "answers-1.jsonl", "answers-2"))
    path.write_bytes(A + B + (C + D)[:cut])
    other.write_bytes(C + D + b'{"torn')
    third.write_bytes(b"")
    for _ in range(2):  # the second time there is nothing left to do
        drop_torn_line(path)
        gather(path, [file for file in (other, third) if file.exists()])
        assert path.read_bytes() == A + B + C + D
        assert list(tmp_path.iterdir()) == [path]
