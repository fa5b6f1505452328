"""Files of answers: a JSON line an attempt, on disk before the next is asked for."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from f2rcli.tasks.types import Retrieval


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Appender:
    """Appends attempts so that each is on disk before the next is asked for."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def append(self, attempt: Retrieval) -> None:
        written = {**asdict(attempt), "at": now()}
        if attempt.logprobs is None:  # few runs ask for them
            del written["logprobs"]
        line = json.dumps(written, ensure_ascii=False)
        self.file.write(line.encode("utf-8", "backslashreplace") + b"\n")
        self.flush()

    def flush(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())


def whole_lines(path: Path) -> Iterator[bytes]:
    """Without a last one that a killed process left torn; none of a file that is not there."""
    if path.exists():
        with path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


def drop_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        keep = size
        while keep:
            file.seek(keep - 1)
            if file.read(1) == b"\n":
                break
            keep -= 1
        if keep < size:
            file.truncate(keep)


def gather(path: Path, others: Iterable[Path]) -> None:
    """Append the lines of other files that `path` lacks to it, and remove those files.

    It may be killed at any moment, and done again: no line is lost or there twice. (Lines hold the time
    at which they were written: two that are equal are the same one.)
    """
    for other in others:
        lines = dict.fromkeys(whole_lines(other))
        for line in whole_lines(path):
            lines.pop(line, None)
        with path.open("ab") as file:
            file.writelines(lines)
            Appender(file).flush()
        other.unlink()
