"""Which requests a run asks, and the digests that say so."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from f2rcli.tasks.datasets import Task, file_digest, subsample
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.types import Request, digest


@dataclass(frozen=True, slots=True)
class Selection:
    """The requests of a run, and how they were chosen from their task."""

    task: Task
    requests: list[Request]
    limit: int | None
    seed: int

    @classmethod
    def of(cls, task: Task, limit: int | None, seed: int) -> "Selection":
        """Reads the task's file. Raises InputError at the first unusable record."""
        return cls(task, subsample(list(task.requests()), limit, seed), limit, seed)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Selection":
        """The selection that a run.json describes. Raises InputError if its data is not the same."""
        described, prompt = record["task"], record["prompt"]
        folders = tuple(Path(folder) for folder in described["image_folders"])
        task = Task(
            described["name"],
            described["title"],
            described["protocol"],
            Path(described["path"]),
            ImageFolder(folders, described["allow_outside_images"]),
            PromptTemplate(**prompt) if prompt else None,
        )
        selection = cls.of(task, described["limit"], described["seed"])
        if any(record["identity"][name] != value for name, value in selection.identity().items()):
            raise InputError(
                "the data has changed since the run", where=str(task.path), fix="evaluate it again"
            )
        return selection

    def identity(self) -> dict[str, str]:
        """Digests of what is asked (dialogues, queries, gold, in order) and of the prompts."""
        return {
            "data": digest([[request.id, request.digest] for request in self.requests]),
            "prompts": digest([request.prompt_digest for request in self.requests]),
        }

    def describe(self) -> dict[str, Any]:
        """The `task` and `prompt` of run.json; a null prompt is each record's own, or by language."""
        task = self.task
        return {
            "task": {
                "name": task.name,
                "title": task.title,
                "protocol": task.protocol,
                "path": str(task.path.resolve()),
                "file_digest": file_digest(task.path),
                "image_folders": [str(folder.resolve()) for folder in task.images.folders],
                "allow_outside_images": task.images.allow_outside,
                "requests": len(self.requests),
                "limit": self.limit,
                "seed": self.seed,
            },
            "prompt": asdict(task.template) if task.template else None,
        }
