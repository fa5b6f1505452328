"""curriculum.jsonl: where it came from on the first line, then one line a sample in training order."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from f2rcli.results.selection import Selection
from f2rcli.results.writing import replacing
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import scan_values
from f2rcli.tasks.types import Request
from f2rcli.training.curriculum.difficulty import DIFFICULTIES, Curriculum

REMAKE = "`f2r train curriculum` makes it"


class Chosen(NamedTuple):
    """A line: a request that is trained on."""

    request: str
    difficulty: str
    f1: float
    entropy: float


class CurriculumFile(NamedTuple):
    """`origin` is what the first line says; `chosen` are the others, in the order of training."""

    origin: dict[str, Any]
    chosen: list[Chosen]

    @property
    def model(self) -> tuple[str, str | None] | None:
        """Digests of the checkpoint that was asked and of the adapter over it; None for predictions."""
        if not self.origin.get("run"):
            return None
        model = self.origin["run"]["identity"]["model"]
        return model["checkpoint"], model.get("adapter")


def write_curriculum(path: Path, origin: dict[str, Any], curriculum: Curriculum) -> None:
    with replacing(path) as file:
        lines: list[dict[str, Any]] = [{"curriculum": origin}]
        for difficulty, samples in curriculum.kept.items():
            lines += [Chosen(s.request, difficulty, s.f1, s.entropy)._asdict() for s in samples]
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_curriculum(path: Path) -> CurriculumFile:
    """Raises InputError naming the line that is none of a curriculum's."""
    if not path.exists():
        made = path.parent.name if path.parts[-4:-2] == ("runs", "curriculum") else "RECIPE"
        fix = f"`f2r train curriculum --config {made}` makes it"
        raise InputError("no such file", where=str(path), fix=fix)
    origin: dict[str, Any] | None = None
    chosen: dict[str, Chosen] = {}
    for entry in scan_values(path):
        if entry.problem:
            raise InputError(entry.problem, where=entry.where, fix=REMAKE)
        if origin is None:
            origin = _origin(entry.value)
            if origin is None:
                raise InputError("not a curriculum", where=entry.where, fix=REMAKE)
            continue
        line = _chosen(entry.value)
        if line is None or line.request in chosen:
            what = "there a second time" if line else "not a sample of a curriculum"
            raise InputError(what, where=entry.where, fix=REMAKE)
        chosen[line.request] = line
    if origin is None or not chosen:
        raise InputError("no samples in it", where=str(path), fix=REMAKE)
    return CurriculumFile(origin, list(chosen.values()))


def ordered_requests(path: Path, selection: Selection) -> list[Request]:
    """The requests to train on, in their order; `selection` is the whole of the data.

    Raises InputError for a file that was made of other data, or has requests that the data lacks.
    """
    origin, chosen = read_curriculum(path)
    if origin["data"]["data"] != selection.identity()["data"]:
        raise InputError(
            f"made of other data than {selection.task.path}",
            where=str(path),
            fix="`f2r train curriculum` makes one of it",
        )
    known = {request.id: request for request in selection.requests}
    for line in chosen:
        if line.request not in known:
            what = f"request {line.request!r} is not in {selection.task.path}"
            raise InputError(what, where=str(path), fix=REMAKE)
    return [known[line.request] for line in chosen]


def _origin(value: Any) -> dict[str, Any] | None:
    try:
        return (
            dict(value["curriculum"]) if isinstance(value["curriculum"]["data"]["data"], str) else None
        )
    except (TypeError, KeyError, ValueError):
        return None


def _chosen(value: Any) -> Chosen | None:
    try:
        line = Chosen(**value)
    except TypeError:
        return None
    numbers = all(type(number) in (int, float) for number in (line.f1, line.entropy))
    known = isinstance(line.request, str) and line.difficulty in DIFFICULTIES
    return line if numbers and known else None
