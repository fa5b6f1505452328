"""Which requests a run asks, and the digests that say so."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from f2rcli.tasks.datasets import Task, file_digest
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.probes import HIDING, Probe
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.similarity import NO_ENCODER, Vectors
from f2rcli.tasks.subsample import subsample
from f2rcli.tasks.types import Request, digest


@dataclass(frozen=True, slots=True)
class Selection:
    """The requests of a run, how they were chosen from their task, and what an encoder makes of them,
    by which their fragments are measured (or why there is none: `unmeasured`)."""

    task: Task
    requests: list[Request]
    limit: int | None
    seed: int
    warnings: tuple[str, ...] = ()
    probe: Probe | None = None
    vectors: Vectors | None = None
    unmeasured: str | None = None

    @classmethod
    def of(cls, task: Task, limit: int | None, seed: int, probe: Probe | None = None) -> "Selection":
        """Reads the task's file; a probe changes what was chosen, whatever it is.

        Raises InputError at the first unusable record, and for a probe that would change nothing.
        `limit` is None afterwards where it leaves nothing out.
        """
        warnings: list[str] = []
        everything = list(task.requests(warnings))
        chosen = subsample(everything, limit, seed)
        limit = None if len(chosen) == len(everything) else limit
        if probe and not any(map(probe.changes, chosen)):
            raise InputError(
                f"{probe.name} would change nothing: no dialogue has {probe.needs}",
                where=str(task.path),
                fix="evaluate it without --probe",
            )
        chosen = [probe.apply(request) for request in chosen] if probe else chosen
        return cls(task, chosen, limit, seed, tuple(warnings), probe)

    def only_first(self) -> "Selection":
        return replace(self, requests=self.requests[:1])

    def file_digest(self) -> str:
        return file_digest(self.task.path)

    def with_images(self) -> "Selection":
        """The same with the file of every image that is to be seen found.

        Raises InputError naming the first that is not.
        """
        if self.probe and self.probe.name == "text-only":
            return self
        found = [self.task.with_images(request) for request in self.requests]
        return replace(self, requests=[self.probe.seen(r) for r in found] if self.probe else found)

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
            record.get("encoder") or NO_ENCODER,
        )
        probed = record.get("probe")
        probe = Probe(probed["name"], probed["seed"]) if probed else None
        selection = cls.of(task, described["limit"], described["seed"], probe)
        if any(record["identity"].get(name) != value for name, value in selection.identity().items()):
            raise InputError(
                "the data has changed since the run", where=str(task.path), fix="evaluate it again"
            )
        return selection

    def identity(self) -> dict[str, Any]:
        """Digests of what is asked (dialogues, queries, gold, in order) and of the prompts."""
        return {
            "data": digest([[request.id, request.digest] for request in self.requests]),
            "prompts": digest([request.prompt_digest for request in self.requests]),
            **({"probe": self.probe.identity()} if self.probe else {}),
        }

    def describe(self, uses_images: bool = True) -> dict[str, Any]:
        """`task`, `prompt`, `probe` and `encoder` of run.json, for a model that sees pictures or not.

        A null prompt is each record's own, or by language. Of a probe there is also the digest of what
        would be asked without it (as in `identity`), and how many requests it changes for this model.
        """
        task, probe = self.task, self.probe
        unseen = probe and probe.name in HIDING and not uses_images
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
            "probe": probe
            and {
                **asdict(probe),
                "origin": digest([[request.id, request.origin] for request in self.requests]),
                "changed": 0 if unseen else sum(map(probe.changes, self.requests)),
            },
            "encoder": task.encoder,
        }
