"""The folder of a training: what it is, how far it came, and from where it goes on."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from f2rcli.results.runs import RunFolder
from f2rcli.results.writing import replacing, write_json
from f2rcli.tasks.errors import InputError

KEPT = 2  # states; one would do, a second is there for whoever damages the first


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class TrainingFolder:
    """training.json, log.jsonl, state/step-N, validation/step-N and, in the end, checkpoint.

    GRPO also leaves completions.jsonl.

    A state or checkpoint is written in state/unfinished and renamed when it is whole, so that one
    which has its name is complete, whenever the process is killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_file = path / "training.json"
        self.log_file = path / "log.jsonl"
        self.completions_file = path / "completions.jsonl"
        self.states = path / "state"
        self.unfinished = path / "state" / "unfinished"
        self.checkpoint = path / "checkpoint"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Raises InputError if another process writes this folder."""
        with RunFolder(self.path).locked():
            yield

    def record(self) -> dict[str, Any] | None:
        """training.json, or None if there is none. Raises InputError if it is something else."""
        if not self.record_file.exists():
            return None
        try:
            record = json.loads(self.record_file.read_text(encoding="utf-8"))
            record["identity"]["recipe"], record["finished"], record["sessions"], record["samples"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = f"not a training's record ({error})"
            raise InputError(what, where=str(self.record_file), fix="choose another --out") from None
        return dict(record)

    def finished(self, recipe: dict[str, Any]) -> bool:
        """Whether the recipe was trained here to its end. Raises InputError for another recipe's."""
        record = self.record()
        if record is None:
            return False
        return self._same(record, {"recipe": recipe}) and record["finished"] is not None

    def begin(
        self, identity: dict[str, Any], description: dict[str, Any], environment: dict[str, Any]
    ) -> None:
        """Write training.json, or note in it that another session goes on.

        Raises InputError if what is there was trained from anything else.
        """
        session = {"started": _now(), "finished": None, "environment": environment}
        record = self.record()
        if record is None or not self._same(record, identity):
            record = {
                "identity": identity,
                **description,
                "samples": None,
                "started": session["started"],
                "sessions": [],
            }
        record["finished"] = None
        record["sessions"].append(session)
        write_json(self.record_file, record)
        shutil.rmtree(self.unfinished, ignore_errors=True)

    def note(self, **values: Any) -> None:
        write_json(self.record_file, {**(self.record() or {}), **values})

    def finish(self) -> None:
        record = self.record() or {}
        record["finished"] = record["sessions"][-1]["finished"] = _now()
        write_json(self.record_file, record)

    def _same(self, record: dict[str, Any], identity: dict[str, Any]) -> bool:
        """False for another training of which nothing came, so that its folder is free."""
        recorded = record["identity"]
        recorded, identity = ({**one, "recipe": _unnamed(one["recipe"])} for one in (recorded, identity))
        other = [name for name, value in identity.items() if recorded.get(name) != value]
        if not other:
            return True
        if not (self._states() or self.log_file.exists()):
            return False
        if "recipe" in other and isinstance(recorded["recipe"], dict):
            old, new = recorded["recipe"], identity["recipe"]
            other = [f"recipe's {key}" for key in new if new[key] != old.get(key)] or other
        raise InputError(
            f"holds a training with another {' and '.join(other)}",
            where=str(self.path),
            fix="choose another --out, or move it away",
        )

    def latest_state(self) -> tuple[int, Path | None]:
        """The step and the folder of the last complete state; 0 and None without one."""
        return max(self._states(), default=(0, None))  # no two states are of one step

    def _states(self) -> list[tuple[int, Path | None]]:
        found = self.states.glob("step-*")
        return [(int(s.name[5:]), s) for s in found if s.name[5:].isdigit() and s.is_dir()]

    def keep(self, written: Path, step: int) -> None:
        """Make a written folder the state of a step, and drop the oldest of those before it."""
        publish(written, self.states / f"step-{step}")
        for _, old in sorted(self._states())[:-KEPT]:
            if old:
                discarded = self.unfinished / f"old-{old.name}"
                old.rename(discarded)  # first, so that what is half deleted has no state's name
                shutil.rmtree(discarded)

    def rewind(self, step: int) -> float:
        """Drop what the logs have after a step, and a torn line; the seconds that are then logged."""
        _rewound(self.completions_file, step)
        kept = _rewound(self.log_file, step)
        return float(kept[-1]["seconds"]) if kept else 0.0

    def log(self, line: dict[str, Any]) -> None:
        _append(self.log_file, line)

    def add_completions(self, line: dict[str, Any]) -> None:
        """A group of sampled answers and their rewards."""
        _append(self.completions_file, line)


def _unnamed(recipe: Any) -> Any:
    """A recipe without the name of its file, which nothing depends on."""
    return {k: v for k, v in recipe.items() if k != "name"} if isinstance(recipe, dict) else recipe


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _rewound(path: Path, step: int) -> list[dict[str, Any]]:
    """The lines that are left."""
    if not path.exists():
        return []
    kept: list[dict[str, Any]] = []
    for raw in path.read_bytes().split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            kept.append(json.loads(raw))
    kept = [line for line in kept if line["step"] <= step]
    with replacing(path) as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
    return kept


def publish(written: Path, name: Path) -> None:
    """Give a whole folder its name, in place of what has it. What has the name is on disk."""
    for file in written.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    if name.exists():
        shutil.rmtree(name)
    written.rename(name)
