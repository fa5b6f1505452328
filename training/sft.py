"""Supervised fine-tuning: a recipe, a folder, and every step from the one to the other."""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from accelerate.utils import gather_object
from transformers import TrainingArguments, set_seed

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.loading import Loaded, choose_device, load
from f2rcli.results.selection import Selection
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.slicing import MAX_TURNS, slice_request
from f2rcli.training.checkpoint import complete, write_checkpoint
from f2rcli.training.failures import out_of_memory_explained
from f2rcli.training.folder import TrainingFolder, publish
from f2rcli.training.ingredients import (
    Base,
    Ingredients,
    Note,
    Progress,
    check_trackers,
    environment,
)
from f2rcli.training.recipe import SftRecipe
from f2rcli.training.samples import Samples
from f2rcli.training.trainer import AnswerTrainer, Keeper, arguments
from f2rcli.training.tuning import prepare
from f2rcli.training.validation import Validator

SMALLER = (
    "lower batch_size (and raise accumulation), max_tokens or max_pixels, or set "
    "gradient_checkpointing = true"
)


def train(
    recipe: SftRecipe,
    out: Path,
    data_root: Path | None = None,
    device: str | None = None,
    note: Note = lambda line: None,
    on_progress: Progress = lambda done, total: None,
) -> Path | None:
    """Train (or go on training); the folder of the final checkpoint, or None where another writes.

    Raises InputError for whatever the recipe names and is not there or does not fit, for a folder of
    another training, for a loss that is not finite, and where memory runs out. Several processes
    (`accelerate launch`) each call this; the first of them writes.
    """
    folder = TrainingFolder(out)
    as_read = json.loads(json.dumps(asdict(recipe)))
    check_trackers(recipe.report, out)
    args = arguments(recipe, folder.unfinished, choose_device(device))
    writes = args.should_save
    if not writes:
        note, on_progress = (lambda line: None), (lambda done, total: None)
    if folder.finished(as_read):
        note(f"{out}: finished already")
        return folder.checkpoint if writes else None
    parts = Ingredients.find(recipe.base, recipe.data, recipe.validation, recipe.seed, data_root)

    with folder.locked() if writes else contextlib.nullcontext():
        if writes:
            identity, described = parts.described()
            identity |= {"recipe": as_read, "processes": args.world_size}
            folder.begin(identity, described, environment(args.device))
        args.distributed_state.wait_for_everyone()
        step, state = folder.latest_state()

        with out_of_memory_explained(lambda: step + 1, SMALLER):
            loaded = _load(recipe, parts.base, state, str(args.device))
        vlm = VLM(loaded, batch_size=recipe.loop.batch_size)
        samples = _samples(recipe, parts.data, vlm, folder, args, note)
        validator = Validator(vlm, parts.validation, folder, args.distributed_state)

        def keep(written: Path, at: int) -> None:
            if not recipe.lora:
                complete(written, parts.base.folder, loaded, "float32")
            folder.keep(written, at)

        seconds = folder.rewind(step) if writes else 0.0
        keeper = Keeper(keep, folder.log, seconds, len(samples), note, on_progress)
        trainer = AnswerTrainer(loaded.model, args, samples, validator.scores, keeper)
        if state:
            note(f"going on from step {step}")
        with out_of_memory_explained(lambda: trainer.state.global_step + 1, SMALLER):
            trainer.train(resume_from_checkpoint=str(state) if state else None)

        if writes:
            final = folder.unfinished / "checkpoint"
            write_checkpoint(loaded, parts.base.folder, recipe.save_as, final)
            publish(final, folder.checkpoint)
            folder.finish()
        args.distributed_state.wait_for_everyone()
    return folder.checkpoint if writes else None


def _load(recipe: SftRecipe, base: Base, state: Path | None, device: str) -> Loaded:
    """The model as it was left, or as it begins.

    Whole models are read again by transformers' own loading: weights are saved under the names of
    their release, which are not those of the modules, and the Trainer would leave them out silently.
    An adapter's are read by the Trainer.
    """
    dtype = recipe.precision if recipe.lora else "float32"  # what is trained always is in float32
    origin = base.folder if recipe.lora else state or base.folder
    set_seed(recipe.seed)  # an adapter begins with random numbers
    loaded = load(origin, None, dtype, device, recipe.length.max_pixels)
    return prepare(loaded, recipe.lora, base.name, freeze_vision=recipe.freeze_vision)


def _samples(
    recipe: SftRecipe,
    data: Selection,
    vlm: VLM,
    folder: TrainingFolder,
    args: TrainingArguments,
    note: Note,
) -> Samples:
    """What is trained on: long dialogues in slices as they are asked, without over-long samples.

    Which are over-long is found once, by making every sample, which also reads every picture.
    """
    parts = [part.request for one in data.requests for part in slice_request(one, MAX_TURNS)]
    record = folder.record() or {}
    dropped = record["samples"] and record["samples"]["dropped"]
    if dropped is None:
        everything = Samples(parts, vlm.inputs, vlm.ends)
        mine = range(args.process_index, len(parts), args.world_size)
        limit = recipe.length.max_tokens
        dropped = [parts[i].id for i in mine if everything[i].tokens > limit]
        dropped = sorted(gather_object(dropped))
        if args.should_save:
            counts = {"used": len(parts) - len(dropped), "dropped": dropped}
            folder.rewind(-1)
            folder.log({"step": 0, "samples": counts["used"], "dropped": len(dropped), "seconds": 0.0})
            folder.note(samples=counts)
    left_out = set(dropped)
    used = [part for part in parts if part.id not in left_out]
    line = f"{len(used)} samples"
    if dropped:
        line += f"; {len(dropped)} dropped, longer than max_tokens, such as {dropped[0]}"
    note(line)
    if not used:
        raise InputError("every sample is longer than length.max_tokens", where=recipe.name)
    return Samples(used, vlm.inputs, vlm.ends)
