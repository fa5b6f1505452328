"""Is my data sound: every problem of a file, with its place."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.formats import parse
from f2rcli.tasks.images import ImageFolder, open_image
from f2rcli.tasks.jsonstream import Entry, scan_values
from f2rcli.tasks.parsed import NO_QUERY, Parsed
from f2rcli.tasks.predictions import parse_prediction
from f2rcli.tasks.types import Fragment, Request, digest


@dataclass(frozen=True, slots=True)
class Finding:
    """`fatal`: the record cannot be evaluated as it is. Otherwise it can, and this is odd."""

    where: str
    what: str
    fatal: bool

    def __str__(self) -> str:
        return " ".join(f"{self.where}: {'' if self.fatal else 'warning: '}{self.what}".split())


@dataclass
class Checker:
    """Checks one file; the counts are of what was read so far."""

    path: Path
    images: ImageFolder
    records: int = 0
    requests: int = 0
    _pictures: dict[str, str] = field(default_factory=dict)
    _seen: dict[bytes, tuple[str, Fragment | None]] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """Every problem, in file order. Raises InputError if the file cannot be opened."""
        entry = None
        for entry in scan_values(self.path):
            if entry.problem:
                yield Finding(entry.where, entry.problem, fatal=True)
                continue
            self.records += 1
            parsed = parse(entry.value)
            self._check_prediction(entry, parsed)
            found = [(what, True) for what in parsed.problems]
            found += [(what, False) for what in parsed.warnings]
            if not parsed.problems and not parsed.requests:
                found.append((NO_QUERY, True))
            for request in parsed.requests:
                self.requests += 1
                found += self._check_request(request, entry)
            for what, fatal in dict.fromkeys(found):  # a chat's queries share its pictures
                yield Finding(entry.where, what, fatal)
        if not self.records and entry is None:
            yield Finding(str(self.path), "no records in it", fatal=True)

    def _check_prediction(self, entry: Entry, parsed: Parsed) -> None:
        """A prediction line has to be scorable on top of being a record."""
        if (
            isinstance(entry.value, dict)
            and entry.value.keys() & {"response", "labels"}
            and not parsed.problems
        ):
            try:
                parse_prediction(entry.value, "")
            except InputError as error:
                parsed.problems.append(error.what)

    def _check_request(self, request: Request, entry: Entry) -> Iterator[tuple[str, bool]]:
        if request.gold is None:
            yield "no gold answer, so nothing can be scored", True
        asked = bytes.fromhex(digest([request.dialogue.digest, request.query.text]))
        if asked in self._seen:
            place, answer = self._seen[asked]
            other = "" if answer == request.gold else ", with another answer"
            yield f"the same dialogue and query as in {place}{other}", False
        else:
            self._seen[asked] = (entry.where, request.gold)
        for image in request.dialogue.images:
            if image.path and (what := self._check_picture(image.path)):
                yield f"image {image.id}: {what}", True

    def _check_picture(self, path: str) -> str:
        """What is wrong with a picture, found out once a path: missing, outside, unreadable."""
        if path not in self._pictures:
            try:
                open_image(self.images.resolve(path))
                self._pictures[path] = ""
            except InputError as error:
                self._pictures[path] = f"{path}: {error.what}"
        return self._pictures[path]
