"""Small chats and retrievers made by hand, and runs of them: for tests of runs and of the commands."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from f2rcli.adapters.registry import ModelRow
from f2rcli.adapters.retriever import Retriever
from f2rcli.results.evaluate import evaluate
from f2rcli.results.runs import RunFolder
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import Task, load_task
from f2rcli.tasks.probes import Probe
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Failure, Fragment, Request, Retrieval

ROW = ModelRow("手写 模型", "python", "own", "as the test says", {"file": __file__, "class": "Scripted"})
QUERIES = {"帐篷在哪里": [2, 3, 4], "谁带蛋糕": [7], "没有人说过的事": []}


def chat(
    name: str = "露营",
    turns: int = 12,
    queries: dict[str, list[int]] = QUERIES,
    pictures: Sequence[int] = (3, 7),
) -> dict[str, Any]:
    """A raw chat; the turns in `pictures` are pictures."""
    said: list[Any] = [f"{name}的第{i}句话" for i in range(turns)]
    for i in pictures:
        said[i] = [{"image_url": f"图片/{i}.png", "caption": ""}]
    dialogue = [
        {"utterance_idx": i, "speaker": "小林" if i % 2 else "阿梅", "utterance": text}
        for i, text in enumerate(said)
    ]
    return {
        "dialogue_id": name,
        "dialogue": dialogue,
        "query_text": list(queries),
        "gt_turns": list(queries.values()),
    }


def write_chats(folder: Path, *chats: dict[str, Any]) -> Path:
    """A task file of these chats (without any: one chat, three requests), its pictures beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "图片").mkdir(exist_ok=True)
    used = chats or (chat(),)
    for made in used:
        for turn in made["dialogue"]:
            if isinstance(turn["utterance"], list):
                path = folder / turn["utterance"][0]["image_url"]
                path.write_bytes(f"picture {path.name}".encode())
    path = folder / "聊天.json"
    path.write_text(json.dumps(used, ensure_ascii=False), encoding="utf-8")
    return path


def answer(utterances: Sequence[int] = (), images: Sequence[int] = ()) -> str:
    return render_answer(Fragment(frozenset(utterances), frozenset(images)))


class Scripted(Retriever):
    """Gives what `says` makes of a request: a text, or a failure. Remembers what it was asked."""

    uses_images = False

    def __init__(
        self, says: Callable[[Request], str | Failure], *, config: object = 0, **attributes: object
    ) -> None:
        self.says = says
        self.config = config
        self.asked: list[Request] = []
        vars(self).update(attributes)

    def identity(self) -> dict[str, Any]:
        return {"config": self.config}

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        for request in requests:
            self.asked.append(request)
            said = self.says(request)
            if isinstance(said, Failure):
                yield Retrieval(request.id, failure=said)
            else:
                yield Retrieval(request.id, text=said)


def says(text: str, **attributes: Any) -> Scripted:
    """The same text for every request."""
    return Scripted(lambda request: text, **attributes)


def evaluated(
    retriever: Retriever,
    task: Path | Task,
    out: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    row: ModelRow = ROW,
    probe: Probe | None = None,
) -> RunFolder:
    loaded = load_task(str(task)) if isinstance(task, Path) else task
    return evaluate(row, retriever, Selection.of(loaded, limit, seed, probe), out)


def lines(path: Path) -> list[dict[str, Any]]:
    """The values of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def scores(run: RunFolder) -> dict[str, Any]:
    return dict(json.loads((run.path / "scores.json").read_text(encoding="utf-8")))
