"""Run folders: one model on one task, every answer on disk as soon as it is there."""

import contextlib
import json
import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, Self

import filelock

from f2rcli.results.answers import Appender, drop_torn_line, gather, now
from f2rcli.results.writing import write_json
from f2rcli.tasks.errors import InputError, cut
from f2rcli.tasks.logprobs import are_logprobs
from f2rcli.tasks.probes import NEEDS
from f2rcli.tasks.scoring import PROTOCOLS
from f2rcli.tasks.types import FAILURE_KINDS, Failure, Request, Retrieval, digest

RECORD, ANSWERS, PREDICTIONS, SCORES, CURVE = (
    "run.json",
    "answers.jsonl",
    "predictions.jsonl",
    "scores.json",
    "curve.json",
)
OTHERS = "answers-{}.jsonl"  # of the second, third … process, until the first gathers them
LOCK = ".lock"


def slug(name: str) -> str:
    """A name as a folder's: letters of any script, digits, and a few safe signs."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.")[-80:] or "unnamed"


class RunFolder:
    """A run on disk. `answers.jsonl` is the truth; `run.json` says what it is the truth about."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def place(cls, out: Path, task: str, model: str, identity: dict[str, Any]) -> Self:
        """Where a run of this identity lives: the same command finds its own run again."""
        return cls(out / slug(task) / f"{slug(model)}-{digest(identity)[:8]}")

    @staticmethod
    def is_one(path: Path) -> bool:
        return (path / RECORD).is_file()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Raises InputError if another process writes this run."""
        lock = filelock.FileLock(self.path / LOCK, timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            raise InputError(
                "another process is writing this run",
                where=str(self.path),
                fix="wait for it to end",
            ) from None
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}",
                where=str(self.path),
                fix="choose a folder that can be written",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def record(self) -> dict[str, Any]:
        """run.json. Raises InputError if it cannot be read or lacks something."""
        record = self._read()
        if not _is_record(record):
            raise InputError("not a run's record", where=str(self.path / RECORD))
        return record

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read ({error})", where=str(self.path / RECORD)) from None
        if not isinstance(record, dict):
            raise InputError("not an object", where=str(self.path / RECORD))
        return record

    def begin(self, description: dict[str, Any], environment: dict[str, Any]) -> None:
        """Write run.json, or note in an existing one that another session goes on with it."""
        cautions = description.get("cautions", [])
        session = {"started": now(), "finished": None, "environment": environment}
        if self.is_one(self.path):
            record = self._read()
            if record["identity"] != description["identity"]:
                raise InputError("holds another run", where=str(self.path), fix="move it away")
        else:
            record = {**description, "started": session["started"], "sessions": []}
        record["cautions"] = list(dict.fromkeys([*record.get("cautions", []), *cautions]))
        record["finished"] = None
        record["encoder"] = description.get("encoder")  # the last one's: no answer depends on it
        record["sessions"].append(session)
        write_json(self.path / RECORD, record)

    def finish(self) -> None:
        record = self._read()
        record["finished"] = record["sessions"][-1]["finished"] = now()
        write_json(self.path / RECORD, record)

    def repair(self) -> None:
        """Drop a last line that a killed process left torn; take in what was answered by other
        processes than the first. Under the lock only."""
        drop_torn_line(self.path / ANSWERS)
        gather(self.path / ANSWERS, sorted(self.path.glob(OTHERS.format("*"))))

    def attempts(self) -> dict[str, Retrieval]:
        """The last attempt at every request (or slice). Raises InputError for a damaged line."""
        return {attempt.request: attempt for attempt in self.every_attempt()}

    def every_attempt(self) -> Iterator[Retrieval]:
        """Also those at what was asked again later. Raises InputError for a damaged line."""
        path = self.path / ANSWERS
        if not path.exists():
            return
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    break
                try:
                    yield _retrieval(json.loads(raw))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise InputError(
                        "not an answer that f2r wrote",
                        where=f"{path}:{number}",
                        fix="remove the line; its request is then asked again",
                    ) from None

    def errors(self) -> dict[str, str]:
        """What was asked in vain and why: request (or slice) → message."""
        return {
            unit: attempt.failure.message
            for unit, attempt in self.attempts().items()
            if attempt.failed and attempt.failure
        }

    @contextlib.contextmanager
    def appending(self, process: int = 0) -> Iterator[Appender]:
        """To answers.jsonl, or to the file of another process than the first."""
        name = OTHERS.format(process) if process else ANSWERS
        with (self.path / name).open("ab") as file:
            yield Appender(file)


def _is_record(record: Any) -> bool:
    """Whether a run.json has what is read from it again."""
    try:
        task, model, identity = record["task"], record["model"], record["identity"]
        texts = [task["name"], task["title"], task["path"], task["protocol"], *task["image_folders"]]
        texts += [model["name"], model["trained"], identity["data"], identity["prompts"]]
        texts += record.get("cautions", [])
        record["finished"], task["named"], task["limit"], identity["images"], identity["max_turns"]
        return (
            all(isinstance(text, str) for text in texts)
            and task["protocol"] in PROTOCOLS
            and isinstance(identity["model"], dict)
            and isinstance(record["sessions"], list)
            and (record["prompt"] is None or isinstance(record["prompt"]["user"], dict))
            and (record.get("probe") is None or _is_probe(record["probe"]))
        )
    except (KeyError, TypeError):
        return False


def _is_probe(probe: Any) -> bool:
    numbers = (probe["seed"], probe["changed"])
    return (
        probe["name"] in NEEDS
        and isinstance(probe["origin"], str)
        and all(isinstance(number, int) for number in numbers)
    )


def _retrieval(line: dict[str, Any]) -> Retrieval:
    line.pop("at")
    failure = line.pop("failure")
    attempt = Retrieval(**line, failure=Failure(**failure) if failure else None)
    if flaw := flaw_of(attempt, (attempt.request,)):
        raise ValueError(flaw)
    return attempt


def flaw_of(attempt: Any, asked: Container[str]) -> str | None:
    """What keeps an attempt from being a `Retrieval` of one of the requests asked, in words."""
    if not isinstance(attempt, Retrieval):
        return f"{cut(repr(attempt))}, which is no Retrieval"
    if isinstance(attempt.request, Request):
        return "a Retrieval of a whole Request: `request` must be its id"
    name = f"an answer to {cut(repr(attempt.request))}"
    if not isinstance(attempt.request, str) or attempt.request not in asked:
        return f"{name}, which was not asked or is answered already"
    if attempt.text is not None and not isinstance(attempt.text, str):
        return f"{name} whose text is no text"
    failure = attempt.failure
    known = isinstance(failure, Failure) and failure.kind in FAILURE_KINDS
    if failure is not None and not (known and isinstance(failure.message, str)):
        return f"{name} with a failure of no known kind: {cut(repr(failure))}"
    try:
        json.dumps(attempt.details)
    except (TypeError, ValueError):
        return f"{name} whose details are not JSON"
    if attempt.logprobs is not None and not are_logprobs(attempt.logprobs):
        return f"{name} whose logprobs are not those of tokens"
    numbers = (attempt.prompt_tokens, attempt.output_tokens, attempt.seconds)
    if not all(number is None or isinstance(number, int | float) for number in numbers):
        return f"{name} whose counts are no numbers"
    return None
