"""Makes `clip-nano`: python -m f2rcli.training.nano.clip FOLDER

Contrastive training on the mini world's texts and pictures; the same command goes on where it was
stopped. Whatever is of one topic is drawn together, whichever language it is in and whether it is
said, asked for or drawn (supervised contrastive loss, arXiv 2004.11362, over both of CLIP's towers).
"""

import argparse
import math
import shutil
import time
from pathlib import Path
from random import Random
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from f2rcli.adapters.vlm.loading import choose_device
from f2rcli.training.folder import TrainingFolder
from f2rcli.training.nano.architecture import CLIP_TOKENS, save_untrained_clip
from f2rcli.training.nano.pairs import NOTHING, draw_batch, texts

SEED = 0
TOKENIZER_BATCHES = 150
STEPS = 1500
LEARNING_RATE, WARM_UP = 1e-3, 50
LARGEST_SCALE = math.log(100)  # as in CLIP
SAVE_EVERY, LOG_EVERY = 100, 25


def contrastive_loss(vectors: Tensor, topics: Tensor, scale: Tensor) -> Tensor:
    """Supervised contrastive loss of unit vectors (n × d) over their topics (n).

    Each vector with a topic is to find every other one of that topic among all others. One without a
    topic is to find only itself: what is about nothing ("haha nice") is not alike either, or random
    lines would seem to hang together.
    """
    itself = torch.eye(len(topics), dtype=torch.bool, device=topics.device)
    nothing = (topics == NOTHING)[:, None]
    logits = (scale * vectors @ vectors.T).masked_fill(itself & ~nothing, -math.inf)
    same = torch.where(nothing, itself, (topics[:, None] == topics[None, :]) & ~itself)
    found = logits.log_softmax(dim=-1).masked_fill(~same, 0.0).sum(-1)
    anchors = same.any(-1)
    return -(found[anchors] / same.sum(-1)[anchors]).mean()


class ClipTraining:
    """The state of a training in a folder: `state.pt`, `log.jsonl` and the untrained checkpoint."""

    def __init__(self, folder: Path, steps: int = STEPS) -> None:
        self.folder, self.steps, self.step = folder, steps, 0
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        untrained = folder / "untrained"
        if not untrained.exists():
            part = folder / "untrained.part"
            save_untrained_clip(part, texts(TOKENIZER_BATCHES, SEED), SEED)
            part.rename(untrained)
        self.device = choose_device(None)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(untrained)
        self.image_processor: Any = CLIPImageProcessorPil.from_pretrained(untrained)
        model: Any = CLIPModel.from_pretrained(untrained, dtype=torch.float32)
        self.model = model.to(self.device).train()
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05
        )
        self._resume()

    def run(self) -> None:
        started, texts_read, tokens_read = time.time(), 0, 0
        while self.step < self.steps:
            batch = draw_batch(Random(f"clip-nano {SEED} {self.step}"))
            words, said = self._texts(batch.texts)
            seen = self._images(batch.pictures)
            topics = torch.tensor([*batch.text_topics, *batch.picture_topics], device=self.device)
            scale = self.model.logit_scale.clamp(max=LARGEST_SCALE).exp()
            loss = contrastive_loss(torch.cat([said, seen]), topics, scale)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for weights in self.optimiser.param_groups:
                weights["lr"] = self._rate()
            self.optimiser.step()
            self.step += 1
            texts_read, tokens_read = texts_read + len(batch.texts), tokens_read + words
            if self.step % LOG_EVERY == 0:
                nearest = (seen @ said.T).argmax(-1)
                right = topics[: len(said)][nearest] == topics[len(said) :]
                seconds = time.time() - started
                self._log(
                    {
                        "step": self.step,
                        "seconds": round(seconds, 1),
                        "loss": round(loss.item(), 4),
                        "pictures_right": round(right.float().mean().item(), 4),
                        "scale": round(scale.item(), 2),
                        "texts_a_second": round(texts_read / seconds, 1),
                        "tokens_a_second": round(tokens_read / seconds),
                    }
                )
            if self.step % SAVE_EVERY == 0:
                self._save()

    def _texts(self, said: list[str]) -> tuple[int, Tensor]:
        """How many tokens, and the vectors."""
        tokens = self.tokenizer(
            said, truncation=True, max_length=CLIP_TOKENS, padding=True, return_tensors="pt"
        ).to(self.device)
        found = self.model.get_text_features(**tokens).pooler_output
        return int(tokens["attention_mask"].sum()), nn.functional.normalize(found, dim=-1)

    def _images(self, pictures: list[Any]) -> Tensor:
        pixels = self.image_processor(images=pictures, return_tensors="pt")["pixel_values"]
        found = self.model.get_image_features(pixel_values=pixels.to(self.device)).pooler_output
        return nn.functional.normalize(found, dim=-1)

    def _rate(self) -> float:
        """Linear warm-up, then half a cosine down to nothing."""
        if self.step < WARM_UP:
            return LEARNING_RATE * (self.step + 1) / WARM_UP
        share = (self.step - WARM_UP) / max(1, self.steps - WARM_UP)
        return LEARNING_RATE * (1 + math.cos(math.pi * share)) / 2

    def _log(self, line: dict[str, Any]) -> None:
        TrainingFolder(self.folder).log(line)
        print(line, flush=True)

    def _save(self) -> None:
        part = self.folder / "state.part"
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, part)
        part.replace(self.folder / "state.pt")

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if path.exists():
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
        TrainingFolder(self.folder).rewind(self.step)

    def finish(self) -> Path:
        """Writes the finished checkpoint in 16 bits and returns its folder."""
        done = self.folder / "checkpoint"
        shutil.rmtree(done, ignore_errors=True)
        shutil.copytree(self.folder / "untrained", done)
        self.model.to(torch.float16).save_pretrained(done)
        return done


def main() -> None:
    parser = argparse.ArgumentParser(description="Train clip-nano.")
    parser.add_argument("folder", type=Path, help="where state, log and the finished checkpoint go")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    training = ClipTraining(folder)
    training.run()
    print(training.finish())


if __name__ == "__main__":
    main()
