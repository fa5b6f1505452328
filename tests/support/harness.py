"""lm-evaluation-harness with a stub model: `python harness.py FOLDER TASK ANSWERS` prints its results.

ANSWERS is a JSON object of slice ids (`露营:0`, `露营:0_split_1`) and answers. In a process of its own,
because lm-eval warns of things that end a test.
"""

import json
import sys
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager


class Stub(LM):
    """Shows pictures as 🖼 and gives the answers that it was told."""

    MULTIMODAL = True
    tokenizer_name = "stub"

    def __init__(self, task: Any, answers: dict[str, str]) -> None:
        super().__init__()
        self.task = task
        self.answers = answers

    def apply_chat_template(self, history: list[dict[str, str]], **_: Any) -> str:
        return "".join(f"[{m['role']}]{m['content'].replace('<image>', '🖼')}" for m in history)

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        said = []
        for request in requests:
            context, settings, shown = request.args
            assert context.count("🖼") == len(shown["visual"])
            assert not settings["do_sample"]
            question = self.task.questions.by_id[request.doc["request"]]
            said.append(self.answers[question.slices[request.doc["slice"]].request.id])
        return said

    def loglikelihood(self, requests: Any) -> Any:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def main(folder: str, name: str, answers: str) -> None:
    manager = TaskManager(include_path=folder, include_defaults=False)
    loaded = manager.load([name])
    stub = Stub(loaded["tasks"][name], json.loads(Path(answers).read_text(encoding="utf-8")))
    results = simple_evaluate(
        model=stub, tasks=[stub.task], task_manager=manager, apply_chat_template=True, bootstrap_iters=0
    )
    print(json.dumps(results["results"][name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
