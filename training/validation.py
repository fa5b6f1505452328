"""F1 while training: real answers by the evaluation's own path."""

import json
import shutil
import time
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from f2rcli.adapters.vlm import VLM
from f2rcli.results.derive import derive
from f2rcli.results.runs import SCORES, RunFolder
from f2rcli.results.selection import Selection
from f2rcli.tasks.slicing import slice_request
from f2rcli.training.folder import TrainingFolder

PARTS = ("joint", "utterance", "image")


class Validator:
    """Asks the model in training, every process a share of the requests.

    The answers of each step are a folder like a run's (`f2r score` reads its predictions.jsonl).
    """

    def __init__(
        self, vlm: VLM, selection: Selection, folder: TrainingFolder, processes: PartialState
    ) -> None:
        self.vlm, self.selection, self.processes = vlm, selection, processes
        self.folder = folder.path / "validation"

    def scores(self, step: int) -> dict[str, float]:
        """Strict micro F1 and what went wrong; empty in all processes but the first.

        The model is in training mode afterwards, and random numbers go on as if nothing had been.
        """
        started = time.perf_counter()
        device = self.vlm.base.device
        devices = [device] if device.type == "cuda" else []
        requests = self.selection.requests
        parts = [p.request for one in requests for p in slice_request(one, self.vlm.max_turns)]
        share = parts[self.processes.process_index :: self.processes.num_processes]
        self.vlm.model.eval()
        with torch.random.fork_rng(devices):
            answers = list(self.vlm.retrieve([request.without_gold() for request in share]))
        self.vlm.model.train()
        answers = gather_object(answers)
        if not self.processes.is_main_process:
            return {}
        run = RunFolder(self.folder / f"step-{step}")
        shutil.rmtree(run.path, ignore_errors=True)  # of a process that was killed after it
        run.path.mkdir(parents=True)
        with run.appending() as file:
            for answer in answers:
                file.append(answer)
        derive(run, requests, self.vlm.max_turns)
        scores = json.loads((run.path / SCORES).read_text(encoding="utf-8"))["strict"]
        return {**_flat(scores), "validation_seconds": time.perf_counter() - started}


def _flat(scores: dict[str, Any]) -> dict[str, float]:
    return {
        **{f"validation_{part}_f1": scores[part]["f1"] for part in PARTS},
        **{f"validation_{kind}": count for kind, count in scores["failures"].items()},
    }


def in_words(step: int, scores: dict[str, float]) -> str:
    counts = {kind: scores[f"validation_{kind}"] for kind in ("error", "truncated", "malformed")}
    failed = [f"{count} {kind}" for kind, count in counts.items() if count]
    f1 = ", ".join(f"{part} {100 * scores[f'validation_{part}_f1']:.2f}" for part in PARTS)
    return f"step {step}: " + "; ".join([f"validation F1 {f1} %", *failed])
