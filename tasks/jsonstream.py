"""JSON arrays, JSON Lines and single objects as one stream of values with their places.

Memory does not grow with the file, also where a whole array stands on one line; and every value
knows the line it begins on, which is why this is not left to an event parser.
"""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from f2rcli.tasks.errors import InputError

CHUNK = 1 << 20
MAX_VALUE = 64 << 20  # characters; a record is text and paths, some ten kilobytes
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a file, or (`problem`) why there is none. `number` counts from 0."""

    path: Path
    number: int
    line: int
    value: Any = None
    problem: str = ""

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line} (record {self.number})"


def read_values(path: Path) -> Iterator[Entry]:
    """Every value of the file; raises InputError at the first that cannot be read."""
    for entry in scan_values(path):
        if entry.problem:
            raise InputError(
                entry.problem, where=entry.where, fix=f"`f2r data check {path}` lists every problem"
            )
        yield entry


def scan_values(path: Path) -> Iterator[Entry]:
    """Every value of the file, and every problem as an entry of its own.

    A broken line of a JSON Lines file costs that line; broken syntax inside an array ends the scan,
    because nothing after it can be placed. Raises InputError if the file cannot be opened.
    """
    try:
        file = BufferedReader(path.open("rb", buffering=0), CHUNK)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    with file:
        try:
            head = file.peek().removeprefix(codecs.BOM_UTF8)  # a pipe could not be read twice
        except OSError as error:  # a folder opens on some systems and fails here
            raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from None
        yield from (_scan_lines if _looks_like_lines(head) else _scan_text)(path, file)


def _looks_like_lines(head: bytes) -> bool:
    """JSON Lines: the first line is an object by itself, or was meant to be one.

    It was meant where one of the next lines is, and (if it begins like an object) they all begin like
    objects: a broken first line costs itself and not the file, while an object over several lines
    has lines that end it.
    """
    lines = [line for line in head.split(b"\n")[:20] if line.strip()]
    if not lines or lines[0].lstrip().startswith(b"["):
        return False
    if lines[0].startswith(b"{") and not _is_object(lines[0]):
        return all(line.startswith(b"{") for line in lines) and any(map(_is_object, lines))
    return any(map(_is_object, lines))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _scan_lines(path: Path, file: BinaryIO) -> Iterator[Entry]:
    number = 0
    for line, raw in enumerate(file, 1):
        if not raw.strip():
            continue
        try:
            yield Entry(path, number, line, json.loads(raw.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            yield Entry(path, number, line, problem=_encoding_problem(raw[error.start]))
        except (ValueError, RecursionError) as error:
            yield Entry(path, number, line, problem=f"not JSON ({_what(error)})")
        number += 1


def _what(error: Exception) -> str:
    """A JSON error in words; its own place would be one within the line or the window."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg.removesuffix(" starting at")
    return str(error)


def _encoding_problem(byte: int) -> str:
    return f"not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8"


class _Text:
    """A window on the decoded text of a file: the part not yet consumed, and its line number."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.at = 0
        self.line = 1
        self.ended = False
        self.broken: UnicodeDecodeError | None = None

    def more(self) -> bool:
        """Read on; the window doubles, so that a long value is not rescanned for every chunk."""
        if self.broken:
            raise self.broken
        if self.ended:
            return False
        self.text = self.text[self.at :]
        self.at = 0
        raw = self.file.read(max(CHUNK, len(self.text)))
        self.ended = not raw
        try:
            self.text += self.decoder.decode(raw, final=self.ended)
        except UnicodeDecodeError as error:  # what stands before the bad byte is still good
            self.text += error.object[: error.start].decode().removeprefix("\ufeff")
            self.broken = error
        return True

    def advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def skip_space(self) -> str:
        """Skip white space and give the next character, or "" at the end of the file."""
        while True:
            end = self.at
            while end < len(self.text) and self.text[end] in " \t\r\n":
                end += 1
            self.advance(end)
            if end < len(self.text):
                return self.text[end]
            if not self.more():
                return ""


def _scan_text(path: Path, file: BinaryIO) -> Iterator[Entry]:
    """An array of values, or values one after the other, over any number of lines."""
    text = _Text(file)
    number = 0
    try:
        array = text.skip_space() == "["
        if array:
            text.advance(text.at + 1)
        while (character := text.skip_space()) and not (array and character == "]"):
            if array and number:
                if character != ",":
                    raise json.JSONDecodeError("Expecting ',' delimiter", "", 0)
                text.advance(text.at + 1)
                text.skip_space()
            line = text.line
            value = _next_value(text)
            yield Entry(path, number, line, value)
            number += 1
        if array and not character:
            yield Entry(path, number, text.line, problem="not JSON (the array is not closed)")
        elif array:
            text.advance(text.at + 1)
            if text.skip_space():
                yield Entry(path, number, text.line, problem="text after the end of the array")
        elif not number:
            yield Entry(path, number, text.line, problem="the file is empty")
    except UnicodeDecodeError as error:
        pending = text.text.count("\n", text.at)
        problem = _encoding_problem(error.object[error.start])
        yield Entry(path, number, text.line + pending, problem=problem)
    except json.JSONDecodeError as error:
        problem = f"not JSON ({_what(error)}); nothing after it can be read"
        yield Entry(path, number, text.line + error.lineno - 1, problem=problem)
    except (ValueError, RecursionError) as error:
        yield Entry(path, number, text.line, problem=f"not JSON ({error})")


def _next_value(text: _Text) -> Any:
    """Decode the value at the window's start, reading on while it may be incomplete.

    A value is incomplete rather than broken where the decoder gives up near the window's end, or
    inside a string, whose error names its beginning.
    """
    while True:
        try:
            value, end = _DECODER.raw_decode(text.text, text.at)
            if end < len(text.text) or not text.more():
                text.advance(end)
                return value
        except json.JSONDecodeError as error:
            if len(text.text) - text.at > MAX_VALUE:
                raise ValueError(f"a record of over {MAX_VALUE >> 20} MB") from None
            incomplete = error.pos >= len(text.text) - 16 or error.msg.startswith("Unterminated string")
            if not incomplete or not text.more():
                begun = text.text[text.at :]
                raise json.JSONDecodeError(error.msg, begun, max(0, error.pos - text.at)) from None
