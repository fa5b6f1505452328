"""Which requests a run asks, and the digests that say so."""

from dataclasses import asdict, dataclass, replace
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
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: Task, limit: int | None, seed: int) -> "Selection":
        """Reads the task's file. Raises InputError at the first unusable record.

        `limit` is None afterwards where it leaves nothing out.
        """
        warnings: list[str] = []
        everything = list(task.requests(warnings))
        chosen = subsample(everything, limit, seed)
        limit = None if len(chosen) == len(everything) else limit
        return cls(task, chosen, limit, seed, tuple(warnings))

    def file_digest(self) -> str:
        return file_digest(self.task.path)

    def with_images(self) -> "Selection":
        """The same with every image's file found. Raises InputError naming the first that is not."""
        return replace(self, requests=[self.task.with_images(request) for request in self.requests])

    def images_digest(self) -> str:
        """SHA-256 over paths and contents of the pictures, once their files are found."""
        contents = {
            image.file: file_digest(Path(image.file))
            for request in self.requests
            for image in request.dialogue.images
            if image.file
        }
        images = ({i.path: contents[i.file] for i in r.dialogue.images if i.file} for r in self.requests)
        return digest(list(images))

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
                "named": task.named,
                "protocol": task.protocol,
                "path": str(task.path.resolve()),
                "file_digest": self.file_digest(),
                "image_folders": [str(folder.resolve()) for folder in task.images.folders],
                "allow_outside_images": task.images.allow_outside,
                "requests": len(self.requests),
                "limit": self.limit,
                "seed": self.seed,
            },
            "prompt": asdict(task.template) if task.template else None,
        }
