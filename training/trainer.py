"""transformers' Trainer with the loss on answers only, F1 as its evaluation, and states that last.

The Trainer gives steps, schedule, accumulation, several processes, precision and random states. Ours
are a loss that never makes the logits of a prompt (at 15,000 tokens they are larger than the model),
validation by generation, folders that are complete or not there, and a stop at the first number that
is none.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from f2rcli.training.failures import not_finite
from f2rcli.training.ingredients import Note, Progress
from f2rcli.training.recipe import SftRecipe
from f2rcli.training.samples import NO_LOSS, Samples
from f2rcli.training.validation import in_words

LOGGED = ("epoch", "loss", "learning_rate", "grad_norm")


def arguments(recipe: SftRecipe, scratch: Path, device: str) -> TrainingArguments:
    """The recipe in the Trainer's words; made first, as it joins the processes of a launch."""
    loop, optimiser = recipe.loop, recipe.optimiser
    args = TrainingArguments(
        output_dir=str(scratch),
        use_cpu=device == "cpu",
        bf16=recipe.precision == "bfloat16",
        seed=recipe.seed,
        data_seed=recipe.seed,
        num_train_epochs=loop.epochs or 1,
        max_steps=loop.steps or -1,
        per_device_train_batch_size=loop.batch_size,
        gradient_accumulation_steps=loop.accumulation,
        activation_checkpointing=loop.gradient_checkpointing,
        learning_rate=optimiser.learning_rate,
        adam_beta1=optimiser.betas[0],
        adam_beta2=optimiser.betas[1],
        weight_decay=optimiser.weight_decay,
        lr_scheduler_type=optimiser.schedule,
        warmup_steps=optimiser.warmup,
        max_grad_norm=optimiser.clip,
        logging_steps=loop.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        eval_strategy="steps",
        eval_steps=recipe.validation.every,
        save_strategy="steps",
        save_steps=loop.save_every,
        # a batch without pictures leaves the vision tower without gradients
        ddp_find_unused_parameters=not recipe.freeze_vision,
        dataloader_pin_memory=device != "cpu",
        remove_unused_columns=False,
        report_to=list(recipe.report) or "none",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
    )
    args._n_gpu = min(1, args.n_gpu)  # more GPUs are for `accelerate launch`, not for DataParallel
    return args


class AnswerTrainer(Trainer):
    """Trains on `labels`, evaluates by `validate(step)`."""

    loss_is_scaled_for_ga = True  # by the answer tokens of the whole step, below

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        samples: Samples,
        validate: Callable[[int], dict[str, float]],
        keeper: "Keeper",
    ) -> None:
        super().__init__(
            model,
            args,
            data_collator=samples.collate,
            train_dataset=samples,
            eval_dataset=[],  # evaluate() has its own
            callbacks=[keeper],
        )
        self.model_accepts_loss_kwargs = True  # so that the tokens of a whole step are counted
        self.validate = validate
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Cross-entropy summed over the batch's answer tokens, divided by those of the whole step.

        Logits are made only at the places before an answer token of any row. Raises InputError if the
        loss is not finite.
        """
        labels = inputs.pop("labels")[:, 1:]
        places = (labels != NO_LOSS).any(dim=0).nonzero().squeeze(1)
        logits = model(**inputs, logits_to_keep=places).logits
        targets = labels[:, places].flatten()
        total = cross_entropy(
            logits.flatten(0, 1).float(), targets, ignore_index=NO_LOSS, reduction="sum"
        )
        if not total.isfinite():
            raise not_finite("the loss", total.item(), self.state.global_step + 1)
        # the gradients of several processes are averaged, the tokens of all of them were counted
        return total / num_items_in_batch * self.accelerator.num_processes

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        scores = self.validate(self.state.global_step)
        self.log(dict(scores))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, scores)
        return scores


class Keeper(TrainerCallback):
    """Writes the log and the states, tells the progress, and stops a training that has gone wrong."""

    def __init__(
        self,
        keep: Callable[[Path, int], None],
        log: Callable[[dict[str, Any]], None],
        seconds: float,
        samples: int,
        note: Note,
        progress: Progress,
    ) -> None:
        self.keep, self.log = keep, log
        self.samples = samples
        self.note, self.progress = note, progress
        self.begun = time.monotonic() - seconds  # of the training, its earlier sessions included

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.progress(state.global_step, state.max_steps)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        gradients = [p.grad for p in given["model"].parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not norm.isfinite():
            raise not_finite("the gradient", norm.item(), state.global_step + 1)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        last = state.global_step >= state.max_steps
        # A resumed training then logs the same means; and behind the last step is the checkpoint.
        control.should_log |= control.should_save or last
        control.should_save &= not last
        self.progress(state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        kept = [key for key in logs if key in LOGGED or key.startswith("validation_")]
        if not state.is_world_process_zero or kept == ["epoch"]:
            return  # the Trainer's own summary at the end is not ours
        line = {"step": state.global_step, "epoch": logs["epoch"], **{key: logs[key] for key in kept}}
        if "loss" in line:
            line |= {"tokens": state.num_input_tokens_seen, "samples": self._seen(args, state)}
        self.log({**line, "seconds": round(time.monotonic() - self.begun, 3)})
        self.note(_in_words(line))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        args.distributed_state.wait_for_everyone()
        if state.is_world_process_zero:
            written = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            self.keep(written, state.global_step)
        args.distributed_state.wait_for_everyone()

    def _seen(self, args: TrainingArguments, state: TrainerState) -> int:
        """Samples trained on so far; the last step of an epoch may have fewer than the others."""
        each: int = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
        epochs, steps = divmod(state.global_step, -(-self.samples // each))
        return epochs * self.samples + steps * each


def _in_words(line: dict[str, Any]) -> str:
    if "loss" not in line:
        return in_words(line["step"], line)
    rate, norm = line["learning_rate"], line["grad_norm"]
    return (
        f"step {line['step']}: epoch {line['epoch']:.2f}, loss {line['loss']:.4f}, "
        f"learning rate {rate:.2e}, gradient {norm:.2f}"
    )
