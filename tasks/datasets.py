"""Named tasks and files of one's own as a stream of requests."""

import hashlib
import os
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.formats import parse
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.scoring import Protocol
from f2rcli.tasks.types import Dialogue, Request


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A row of tasks.toml."""

    name: str
    title: str
    protocol: Protocol
    domain: str
    files: tuple[str, ...]
    source: str
    test_only: bool = False

    def find(self, data_root: Path) -> Path | None:
        """Its file under the data root, or None. Raises InputError if a pattern fits several."""
        for pattern in self.files:
            if pattern.startswith("package:"):
                return Path(str(resources.files("f2rcli.tasks"))) / pattern.removeprefix("package:")
            found = sorted(data_root.glob(pattern))
            if len(found) > 1:
                names = ", ".join(path.name for path in found)
                raise InputError(
                    f"several files could be the task {self.name}: {names}",
                    where=str(found[0].parent),
                    fix=f"say which with --task {self.name}=PATH",
                )
            if found:
                return found[0]
        return None

    def missing(self, data_root: Path) -> InputError:
        return InputError(
            f"task {self.name} is not there: looked for {' and '.join(self.files)}",
            where=str(data_root.resolve()),
            fix=f"it is {self.source}; point at its folder with --data-root or F2R_DATA; "
            "without it, try --task example or --task your_chats.json",
        )


def task_rows() -> dict[str, TaskRow]:
    text = resources.files("f2rcli.tasks").joinpath("tasks.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)
    return {name: TaskRow(name, **{**row, "files": tuple(row["files"])}) for name, row in rows.items()}


@dataclass(frozen=True, slots=True)
class Task:
    """A dataset that is there: where, and under which name and protocol its scores are shown."""

    name: str
    title: str
    protocol: Protocol
    path: Path
    images: ImageFolder
    template: PromptTemplate | None = None
    test_only: bool = False

    def requests(self, *, need_gold: bool = True) -> Iterator[Request]:
        """Every request in file order. Raises InputError at the first record that is unusable.

        A request's id is the dialogue's id and how many requests of that id came before it.
        """
        seen: Counter[str] = Counter()
        for entry in read_values(self.path):
            parsed = parse(entry.value, self.template)
            if parsed.problems:
                more = f" (and {len(parsed.problems) - 1} more)" if len(parsed.problems) > 1 else ""
                fix = f"`f2r data check {self.path}` lists every problem"
                raise InputError(parsed.problems[0] + more, where=entry.where, fix=fix)
            if not parsed.requests:
                raise InputError("no query in it", where=entry.where)
            for request in parsed.requests:
                if need_gold and request.gold is None:
                    raise InputError(
                        "no gold answer, so nothing can be scored",
                        where=entry.where,
                        fix="`f2r retrieve` asks without one",
                    )
                name = request.dialogue.id or "dialogue"
                yield replace(request, id=f"{name}:{seen[name]}", where=entry.where)
                seen[name] += 1
        if not seen:
            raise InputError("no records in it", where=str(self.path))

    def with_images(self, request: Request) -> Request:
        """The request with every image's file found. Raises InputError naming the first that is not."""
        try:
            images = tuple(
                replace(image, file=str(self.images.resolve(image.path)))
                for image in request.dialogue.images
            )
        except InputError as error:
            fix = error.fix or "--data-root says which folder image paths start from"
            what = f"{error.where}: {error.what}"
            raise InputError(what, where=request.where, fix=fix) from None
        dialogue = Dialogue(request.dialogue.id, request.dialogue.utterances, images)
        return replace(request, dialogue=dialogue)


def default_data_root() -> Path:
    return Path(os.environ.get("F2R_DATA") or ".")


def load_task(
    spec: str,
    data_root: Path | None = None,
    *,
    allow_outside: bool = False,
    template: PromptTemplate | None = None,
) -> Task:
    """A task by name (`mldr`), by name and path (`wechat=PATH`), or by path (`chats.json`).

    Raises InputError if there is no such task or file.
    """
    rows = task_rows()
    name, _, given = spec.partition("=")
    row = rows.get(name)
    root = data_root or default_data_root()
    if row and not given:
        path = row.find(root)
        if path is None:
            raise row.missing(root)
    else:
        path = Path(given if row and given else spec)
        if not path.is_file():
            raise InputError(
                f"no task and no file of the name {spec!r}",
                fix=f"tasks are {', '.join(rows)}; or give a file, or NAME=FILE",
            )
    folders = [path.parent] if data_root is None and not os.environ.get("F2R_DATA") else []
    folders = folders or [root, path.parent]
    if row and any(pattern.startswith("package:") for pattern in row.files):
        folders = [path.parent]
    return Task(
        name=row.name if row else path.stem,
        title=row.title if row else path.name,
        protocol=row.protocol if row else "strict",
        path=path,
        images=ImageFolder(tuple(folders), allow_outside),
        template=template,
        test_only=bool(row and row.test_only),
    )


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def subsample(requests: list[Request], limit: int | None, seed: int) -> list[Request]:
    """At most `limit` requests, in dataset order: those whose seeded content digests are smallest.

    The choice depends on nothing but the seed and the requests themselves, and a smaller limit gives
    a subset of a larger one's.
    """
    if limit is None or limit >= len(requests):
        return requests
    ranked = sorted(range(len(requests)), key=lambda i: _rank(requests[i], seed))
    return [requests[i] for i in sorted(ranked[:limit])]


def _rank(request: Request, seed: int) -> tuple[str, str]:
    key = f"{seed} {request.digest}".encode()
    return hashlib.sha256(key).hexdigest(), request.id
