"""The loss is the cross-entropy of the answer's tokens, however they are batched."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch.nn.functional import log_softmax
from transformers import PreTrainedModel, TrainingArguments

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.loading import load
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request
from f2rcli.training.samples import Samples
from f2rcli.training.trainer import AnswerTrainer, Keeper


def trainer_of(model: Any, samples: Samples, tmp_path: Path) -> AnswerTrainer:
    args = TrainingArguments(str(tmp_path), use_cpu=True, remove_unused_columns=False, log_level="error")
    keeper = Keeper(lambda *_: None, lambda _: None, 0.0, 1, lambda _: None, lambda *_: None)
    return AnswerTrainer(model, args, samples, lambda step: {}, keeper)


def by_hand(base: PreTrainedModel, samples: Samples, index: int) -> torch.Tensor:
    """Sum of −log p(token | what is before it) over the answer of one sample, without a batch."""
    sample = samples[index]
    batch = samples.collate([sample])
    batch.pop("labels")
    logits = base(**batch).logits[0]
    first = len(sample.prompt.ids)
    return -sum(
        log_softmax(logits[first + k - 1].double(), dim=0)[token]
        for k, token in enumerate(sample.answer)
    )


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_the_loss_is_the_cross_entropy_of_the_answers(
    tmp_path: Path, asked: list[Request], kind: str
) -> None:
    folder = getattr(tiny, kind)(tmp_path / kind)
    loaded = load(folder, None, "float32", "cpu", 602_112)
    vlm = VLM(loaded)
    samples = Samples(asked, vlm.inputs, {vlm.tokenizer.eos_token_id})
    trainer = trainer_of(loaded.model, samples, tmp_path)
    loaded.base.eval()
    with torch.no_grad():
        hand = [by_hand(loaded.base, samples, i) for i in (0, 3)]
        counts = [len(samples[i].answer) for i in (0, 3)]
        for indices in ([0], [3], [0, 3], [3, 0]):
            batch = samples.collate([samples[i] for i in indices])
            tokens = sum(counts[(0, 3).index(i)] for i in indices)
            loss = trainer.compute_loss(loaded.model, batch, num_items_in_batch=tokens)
            wanted = sum(hand[(0, 3).index(i)] for i in indices) / tokens
            assert loss.item() == pytest.approx(float(wanted), rel=1e-5)
        batch = samples.collate([samples[0]])
        theirs = loaded.base(**batch).loss  # transformers' own
        assert theirs.item() == pytest.approx(float(hand[0]) / counts[0], rel=1e-5)


def test_a_step_of_several_batches_is_one_batch(
    tiny_qwen2_vl: Path, asked: list[Request], tmp_path: Path
) -> None:
    """Gradients of 1 × 2 samples with answers of unlike lengths are those of 2 × 1 accumulated."""
    gradients = []
    for parts in ([[0, 3]], [[0], [3]]):
        loaded = load(tiny_qwen2_vl, None, "float32", "cpu", 602_112)
        vlm = VLM(loaded)
        samples = Samples(asked, vlm.inputs, {vlm.tokenizer.eos_token_id})
        trainer = trainer_of(loaded.model, samples, tmp_path)
        batches = [samples.collate([samples[i] for i in part]) for part in parts]
        again, tokens = trainer.get_batch_samples(iter(batches), len(batches), torch.device("cpu"))
        for batch in again:
            trainer.compute_loss(loaded.model, batch, num_items_in_batch=tokens).backward()
        gradients.append([p.grad.clone() for p in loaded.base.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_no_number_names_the_step(
    tiny_qwen2_vl: Path, asked: list[Request], tmp_path: Path
) -> None:
    loaded = load(tiny_qwen2_vl, None, "float32", "cpu", 602_112)
    samples = Samples(asked, VLM(loaded).inputs, set())
    samples.ends = {samples.inputs.tokenizer.eos_token_id}
    trainer = trainer_of(loaded.model, samples, tmp_path)
    loaded.base.get_output_embeddings().weight.data[0, 0] = torch.nan
    with pytest.raises(InputError, match="the loss is nan at step 1"):
        trainer.compute_loss(loaded.model, samples.collate([samples[0]]), num_items_in_batch=1)
