"""The class that lm-evaluation-harness makes of the YAML files beside it. Importing it needs lm-eval."""

from collections.abc import Callable
from functools import partial
from typing import Any

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask

from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.lm_eval.hf_multimodal import mend
from f2rcli.tasks.lm_eval.questions import (
    FAILURES,
    SCORES,
    Doc,
    Questions,
    aggregate,
    check_places,
    counted,
)


class FragmentRetrieval(ConfigurableTask):  # type: ignore[misc]
    """One doc a request; a dialogue of over 100 turns is one doc that is asked in several instances."""

    def __init__(self, config: dict[str, Any]) -> None:
        mend()
        self.questions = Questions(load_task(config["dataset_kwargs"]["task"]))
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.dataset = {"test": Dataset.from_list(self.questions.docs())}

    def doc_to_text(self, doc: Doc, doc_to_text: Any = None) -> str:
        return self.questions.text(doc)

    def doc_to_image(self, doc: Doc, doc_to_image: Any = None) -> list[Any]:
        return self.questions.pictures(doc)

    def doc_to_target(self, doc: Doc, doc_to_target: Any = None) -> str:
        return str(doc["gold"])

    def fewshot_context(self, doc: Doc, **kwargs: Any) -> list[str]:
        """What is asked, one text a slice."""
        if not kwargs.get("apply_chat_template"):
            raise InputError("the prompts are chat messages", fix="add --apply_chat_template")
        contexts: list[str] = []
        for part in self.questions.parts(doc):
            context = super().fewshot_context(part, **kwargs)
            check_places(self.doc_to_text(part), context)
            contexts.append(context)
        return contexts

    def construct_requests(self, doc: Doc, ctx: list[str], **kwargs: Any) -> list[Any]:
        instances: list[Any] = []
        for place, (part, context) in enumerate(zip(self.questions.parts(doc), ctx, strict=True)):
            instances.append(super().construct_requests(part, context, **kwargs))
            instances[-1].idx = place
        return instances

    def process_results(self, doc: Doc, results: list[str]) -> Doc:
        return counted(self.questions.protocol, self.questions.line(doc, results))

    def aggregation(self) -> dict[str, Callable[[list[Any]], float]]:
        scores = {metric: partial(aggregate, self.questions.protocol, metric) for metric in SCORES}
        return {**scores, **dict.fromkeys(FAILURES, sum)}

    def higher_is_better(self) -> dict[str, bool]:
        return {**dict.fromkeys(SCORES, True), **dict.fromkeys(FAILURES, False)}
