"""Asking, and which requests the input audit has stopped."""

from f2rcli.adapters.vlm import VLM
from f2rcli.tasks.types import Request, Retrieval


def ask(vlm: VLM, requests: list[Request]) -> dict[str, Retrieval]:
    return {retrieval.request: retrieval for retrieval in vlm.retrieve(requests)}


def flagged(answers: dict[str, Retrieval]) -> set[str]:
    """The requests that failed by the audit, and so have no text that could be scored."""
    failed = {name for name, got in answers.items() if got.failure and got.failure.kind == "error"}
    said = [failure.message for name in failed if (failure := answers[name].failure)]
    assert all(message.startswith("input audit:") for message in said)
    assert all(answers[name].text is None for name in failed)
    assert all(answers[name].text is not None for name in answers.keys() - failed)
    return failed
