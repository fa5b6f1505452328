"""Makes `f2rvlm-nano-base`: python -m f2rcli.training.nano.pretrain FOLDER

The same command goes on where it was stopped. What made a model of this size learn at all, measured
on smaller worlds: the vocabulary grows (otherwise it stays on a plateau of the right form with ids at
chance), then the dialogues do; and helper losses, which see the lines one by one (losses.py).
"""

import argparse
import shutil
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from f2rcli.adapters.vlm.loading import choose_device, load
from f2rcli.tasks.types import Request
from f2rcli.training.folder import TrainingFolder
from f2rcli.training.nano.architecture import save_untrained
from f2rcli.training.nano.corpus import Stage, requests, save_pictures, texts
from f2rcli.training.nano.losses import WEIGHTS, Losses

SEED = 0
TOKENIZER_CHATS = 3000
STAGES = (
    Stage(400, 4, 2, (1, 2), (3, 3), 40, settled=0.12),
    Stage(260, 6, 3, (1, 2), (3, 3), 32, nothing=0.1, settled=0.15),
    Stage(260, 10, 4, (1, 3), (3, 3), 32, nothing=0.2, settled=0.15),
    Stage(260, 16, 6, (1, 3), (3, 3), 32, nothing=0.2, settled=0.15),
    Stage(500, 26, 8, (1, 3), (3, 3), 32, 0.15, 0.2, later_ids=0.3, babble=0.3, settled=0.15),
    Stage(400, 26, 8, (1, 6), (3, 3), 24, 0.15, 0.2, 0.1, 0.5, 0.03, 0.5, babble=0.5, chain=0.5),
    Stage(700, 26, 8, (1, 12), (3, 3), 14, 0.15, 0.2, 0.2, 0.5, 0.04, 0.5, babble=0.5, chain=0.5),
    Stage(800, 26, 8, (1, 22), (2, 5), 8, 0.15, 0.2, 0.3, 0.3, 0.04, 0.5, babble=0.5, chain=0.5),
    # Until here image ids were told as a run of numbers, although their lines were found.
    Stage(300, 26, 8, (1, 12), (3, 4), 12, 0.15, 0.2, 0.3, 0.3, 0.04, 0.5, 0.4, 0.5, 0.5, 1.0, rate=0.3),
)
GROUP = 4  # batches that are drawn together and sorted by length, against padding
SETTLE = 20  # steps whose mean says whether a stage has settled; a multiple of GROUP
LEARNING_RATE, WARM_UP, DECAY, FINAL = 1e-3, 100, 1400, 0.05
SAVE_EVERY, LOG_EVERY = 100, 20


class Pretraining:
    """The state of a pre-training in a folder: `state.pt`, `log.jsonl`, and what it reads."""

    def __init__(self, folder: Path, stages: Sequence[Stage] = STAGES) -> None:
        self.folder, self.stages, self.step = folder, stages, 0
        self.stage, self.begun, self.line = 0, 0, 0.0  # `line`: summed since the last look
        self.pictures = folder / "pictures"
        save_pictures(self.pictures)
        untrained = folder / "untrained"
        if not untrained.exists():
            part = folder / "untrained.part"
            save_untrained(part, texts(TOKENIZER_CHATS, SEED), SEED)
            part.rename(untrained)
        loaded = load(untrained, None, "float32", choose_device(None), max_pixels=10**9)
        torch.manual_seed(SEED)
        self.losses = Losses(loaded)
        self.model: Any = loaded.base.train()
        weights = [*self.model.parameters(), *self.losses.heads.parameters()]
        self.optimiser = torch.optim.AdamW(weights, LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
        self._resume()

    def run(self) -> None:
        started, group = time.time(), self._draw()
        while self.step < self._end():
            if self.step % GROUP == 0:
                group = self._draw()
            stage = self.stages[self.stage]
            found = self.losses(group[self.step % GROUP], stage.spread, self.step)
            weights = {**WEIGHTS, "chain": stage.chain, "images": stage.images}
            loss = torch.stack([weights[name] * found[name] for name in weights if name in found]).sum()
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for options in self.optimiser.param_groups:
                options["lr"] = self._rate()
            self.optimiser.step()
            self.step += 1
            self.line += found["line"].item()
            if self.step % LOG_EVERY == 0:
                values = {name: round(value.item(), 4) for name, value in found.items()}
                seconds = round(time.time() - started, 1)
                self._log({"step": self.step, "stage": self.stage, "seconds": seconds, **values})
            if self.step % SETTLE == 0:
                self._advance()
            if self.step % SAVE_EVERY == 0:
                self._save()

    def _end(self) -> int:
        """The step after the last one, if no further stage ends early."""
        return self.begun + sum(stage.steps for stage in self.stages[self.stage :])

    def _advance(self) -> None:
        """Begin the next stage where this one has settled or had its steps."""
        stage, line = self.stages[self.stage], self.line / SETTLE
        self.line = 0.0
        over = self.step - self.begun >= stage.steps
        if (over or line < stage.settled) and self.stage + 1 < len(self.stages):
            self.stage, self.begun = self.stage + 1, self.step

    def _draw(self) -> list[list[Request]]:
        """The batches of this step's group, in a random order that depends on nothing else."""
        stage = self.stages[self.stage]
        rng = Random(f"pre-training {SEED} {self.step // GROUP}")
        drawn = list(islice(requests(rng, stage, self.pictures), stage.batch * GROUP))
        drawn.sort(key=lambda one: sum(len(u.text) for u in one.dialogue.utterances))
        batches = [drawn[i : i + stage.batch] for i in range(0, len(drawn), stage.batch)]
        rng.shuffle(batches)
        return batches

    def _rate(self) -> float:
        """Linear warm-up, constant, and linear decay over the last `DECAY` steps before the stages that
        have a rate of their own, which falls from step to step."""
        stage = self.stages[self.stage]
        if stage.rate:
            left = (self.begun + stage.steps - self.step) / stage.steps
            return LEARNING_RATE * max(FINAL, stage.rate * left)
        if self.step < WARM_UP:
            return LEARNING_RATE * (self.step + 1) / WARM_UP
        own = sum(stage.steps for stage in self.stages if stage.rate)
        return LEARNING_RATE * max(FINAL, min(1.0, (self._end() - own - self.step) / DECAY))

    def _log(self, line: dict[str, Any]) -> None:
        TrainingFolder(self.folder).log(line)
        print(line, flush=True)

    def _save(self) -> None:
        part = self.folder / "state.part"
        state = {
            "step": self.step,
            "stage": self.stage,
            "begun": self.begun,
            "model": self.model.state_dict(),
            "heads": self.losses.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, part)
        part.replace(self.folder / "state.pt")

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if path.exists():
            state = torch.load(path, map_location=self.losses.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.losses.heads.load_state_dict(state["heads"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.stage, self.begun = state["step"], state["stage"], state["begun"]
        TrainingFolder(self.folder).rewind(self.step)

    def finish(self) -> Path:
        """Writes the finished checkpoint in 16 bits and returns its folder."""
        done = self.folder / "checkpoint"
        shutil.rmtree(done, ignore_errors=True)
        shutil.copytree(self.folder / "untrained", done)
        self.model.to(torch.float16).save_pretrained(done)
        return done


def main() -> None:
    parser = argparse.ArgumentParser(description="Pre-train f2rvlm-nano-base.")
    parser.add_argument("folder", type=Path, help="where state, log and the finished checkpoint go")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    pretraining = Pretraining(folder)
    pretraining.run()
    print(pretraining.finish())


if __name__ == "__main__":
    main()
