"""What a GRPO training says of itself: log.jsonl, completions.jsonl, trackers, lines."""

import time
from typing import Any

from accelerate import Accelerator

from f2rcli.training.folder import TrainingFolder
from f2rcli.training.ingredients import Note
from f2rcli.training.validation import in_words


class Log:
    """One line a step in log.jsonl, the completions of every `every`-th, and trackers if there are any.

    Only the first process writes.
    """

    def __init__(
        self,
        folder: TrainingFolder,
        every: int,
        note: Note,
        accelerator: Accelerator,
        begun: int,
        recipe: dict[str, Any],
    ) -> None:
        self.folder, self.every, self.note = folder, every, note
        self.accelerator = accelerator
        self.writes = accelerator.is_main_process
        seconds = folder.rewind(begun) if self.writes else 0.0
        self.begun = time.monotonic() - seconds  # of the training, its earlier sessions included
        if accelerator.log_with:
            accelerator.init_trackers("f2r", {"recipe": str(recipe)})

    def step(
        self, number: int, figures: dict[str, float], samples: list[dict[str, Any]], *, last: bool
    ) -> None:
        """The step (from 1) that was taken."""
        self._write({"step": number, **figures}, number)
        if self.writes and (last or number % self.every == 0):
            for sample in samples:
                self.folder.add_completions(sample)
            self.note(_in_words(number, figures))

    def validation(self, number: int, scores: dict[str, float]) -> None:
        if scores:  # none in the other processes
            self._write({"step": number, **scores}, number)
            self.note(in_words(number, scores))

    def end(self) -> None:
        if self.accelerator.log_with:
            self.accelerator.end_training()

    def _write(self, line: dict[str, float], number: int) -> None:
        if self.writes:
            self.folder.log({**line, "seconds": round(time.monotonic() - self.begun, 3)})
        if self.accelerator.log_with:
            self.accelerator.log({key: value for key, value in line.items() if key != "step"}, number)


def _in_words(number: int, figures: dict[str, float]) -> str:
    rewards = [
        f"{name.removeprefix('reward_')} {value:.3f}"
        for name, value in figures.items()
        if name.startswith("reward_") and name != "reward_deviation"
    ]
    odd = [
        f"{figures[name]:.2g} {name}" for name in ("equal", "redrawn", "unfit", "cut") if figures[name]
    ]
    return (
        f"step {number}: reward {figures['reward']:.3f} ({', '.join(rewards)}), "
        f"strict {100 * figures['strict']:.0f} %, KL {figures['kl']:.4f}, "
        f"entropy {figures['entropy']:.3f}, loss {figures['loss']:.4f}, "
        f"gradient {figures['gradient_norm']:.2f}" + "".join(f", {one}" for one in odd)
    )
