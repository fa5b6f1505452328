"""Named tasks and files of one's own as a stream of requests."""

import hashlib
import os
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.formats import parse
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.mini.cache import cached_file, ready
from f2rcli.tasks.parsed import NO_QUERY
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.scoring import Protocol
from f2rcli.tasks.similarity import NO_ENCODER
from f2rcli.tasks.types import Dialogue, Request

DEFAULT_TASKS = ("mldr", "wechat")
OWN_ENCODER = "clip-vit-base-patch32"  # of what has no name: nothing is known about it
GROUPS = {"mini": ("mini-mldr", "mini-wechat")}  # one name for several tasks
SHIPPED, MADE = "package:", "made:"  # files that the package has, or makes on first use


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A row of tasks.toml."""

    name: str
    title: str
    protocol: Protocol
    domain: str
    files: tuple[str, ...]
    source: str
    encoder: str = NO_ENCODER
    tested: bool = False
    test_only: bool = False

    @property
    def made(self) -> bool:
        return self.files[0].startswith(MADE)

    def is_file(self, path: Path) -> bool:
        """Whether the file has the name of one of this task's, wherever it is."""
        patterns = [f"{self.name}.jsonl"] if self.made else self.files
        return any(path.resolve().match(pattern) for pattern in patterns)

    def find(self, data_root: Path) -> Path | None:
        """Its file under the data root, or None. Raises InputError if a pattern fits several."""
        for pattern in self.files:
            if pattern.startswith(SHIPPED):
                return Path(str(resources.files("f2rcli.tasks"))) / pattern.removeprefix(SHIPPED)
            if pattern.startswith(MADE):
                made = cached_file(pattern.removeprefix(MADE))
                return made if made.is_file() else None
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


def task_rows() -> dict[str, TaskRow]:
    text = resources.files("f2rcli.tasks").joinpath("tasks.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)
    return {name: TaskRow(name, **{**row, "files": tuple(row["files"])}) for name, row in rows.items()}


@dataclass(frozen=True, slots=True)
class Task:
    """A dataset that is there: where, and under which name and protocol its scores are shown.

    `encoder` measures relevance and coherence on it; `named`: it stands for a row of tasks.toml,
    rather than for a file of somebody's own; `tested`: models are compared on it, so that who chooses
    something on it is told.
    """

    name: str
    title: str
    protocol: Protocol
    path: Path
    images: ImageFolder
    template: PromptTemplate | None = None
    encoder: str = NO_ENCODER
    named: bool = False
    tested: bool = False
    test_only: bool = False

    def requests(self, warnings: list[str] | None = None) -> Iterator[Request]:
        """Every request in file order. Raises InputError at the first record that is unusable.

        A request's id is the dialogue's id and how many requests of that id came before it. What is
        odd but usable is added to `warnings`.
        """
        seen: Counter[str] = Counter()
        for entry in read_values(self.path):
            parsed = parse(entry.value, self.template)
            if parsed.problems:
                more = f" (and {len(parsed.problems) - 1} more)" if len(parsed.problems) > 1 else ""
                fix = f"`f2r data check {self.path}` lists every problem"
                raise InputError(parsed.problems[0] + more, where=entry.where, fix=fix)
            if not parsed.requests:
                raise InputError(NO_QUERY, where=entry.where)
            if warnings is not None:
                warnings += [f"{entry.where}: {what}" for what in parsed.warnings]
            for request in parsed.requests:
                if request.gold is None:
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
                image if image.file else replace(image, file=str(self.images.resolve(image.path)))
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


def default_tasks(data_root: Path | None) -> tuple[list[str], list[str]]:
    """The tasks that are meant where none is named: those with data, and those without."""
    rows, root = task_rows(), data_root or default_data_root()
    there = [name for name in DEFAULT_TASKS if rows[name].find(root)]
    return there, [name for name in DEFAULT_TASKS if name not in there]


def load_tasks(
    specs: Iterable[str],
    data_root: Path | None = None,
    *,
    allow_outside: bool = False,
    template: PromptTemplate | None = None,
) -> list[Task]:
    """Tasks by name (`mldr`, or `mini` for several), by name and path (`wechat=PATH`), or by path.

    The mini sets are made if they are not there yet. Raises InputError if there is no such task or
    file; one error for all named tasks without data.
    """
    root = data_root or default_data_root()
    if not root.is_dir():
        raise InputError(
            "no such folder", where=str(root), fix="--data-root or F2R_DATA must be where data lies"
        )
    wanted = dict.fromkeys(name for spec in specs for name in GROUPS.get(spec, (spec,)))
    found = [_find(name, root) for name in wanted]
    if missing := [row for row, path in found if row and path is None]:
        names = " and ".join(row.name for row in missing)
        files = ", ".join(file for row in missing for file in row.files)
        sources = " and ".join(row.source for row in missing)
        raise InputError(
            f"no data for {names} (looked for {files})",
            where=str(root.resolve()),
            fix=f"it comes as {sources}; --data-root or F2R_DATA says where it is; "
            "--task example and --task your_chats.json run without it",
        )
    given = data_root is not None or bool(os.environ.get("F2R_DATA"))
    rows = task_rows().values()
    tasks = []
    for row, path in found:
        assert path is not None
        alike = [other for other in rows if other == row or other.is_file(path)]
        folders = [path.parent]
        if row and path.resolve().is_relative_to(root.resolve()):
            folders.insert(0, root)
        elif given and not (_ships(path) or (row and row.made)):
            folders.append(root)
        tasks.append(
            Task(
                name=row.name if row else path.stem,
                title=row.title if row else path.name,
                protocol=row.protocol if row else "strict",
                path=path,
                images=ImageFolder(tuple(folders), allow_outside),
                template=template,
                encoder=row.encoder if row else alike[0].encoder if alike else OWN_ENCODER,
                named=row is not None,
                tested=any(other.tested for other in alike),
                test_only=any(other.test_only for other in alike),
            )
        )
    return tasks


def load_task(spec: str, data_root: Path | None = None, *, allow_outside: bool = False) -> Task:
    """One task; see `load_tasks`. Raises InputError for a name that stands for several."""
    if several := GROUPS.get(spec):
        raise InputError(f"{spec} is several tasks", fix=f"give one of {', '.join(several)}")
    (task,) = load_tasks([spec], data_root, allow_outside=allow_outside)
    return task


def _find(spec: str, root: Path) -> tuple[TaskRow | None, Path | None]:
    """The row of a task (None for a file of one's own), and its file (None if it is not there)."""
    rows = task_rows()
    name, _, given = spec.partition("=")
    row = rows.get(name)
    if row and not given:
        return row, ready(name) if row.made else row.find(root)
    path = Path(given if row else spec)
    if not path.is_file() and (root / path).is_file():
        path = root / path
    if not path.is_file():
        raise InputError(
            f"no task and no file of the name {str(path)!r}",
            fix=f"tasks are {', '.join([*rows, *GROUPS])}; or give a file, or both: wechat=FILE",
        )
    return row, path


def _ships(path: Path) -> bool:
    return path.is_relative_to(Path(str(resources.files("f2rcli.tasks"))))


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
