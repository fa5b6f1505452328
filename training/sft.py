"""Supervised fine-tuning: a recipe, a folder, and every step from the one to the other."""

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import TrainingArguments, set_seed

from f2rcli.adapters.checkpoints import find_checkpoint, provenance
from f2rcli.adapters.registry import find_row, load_rows
from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.loading import Loaded, choose_device, load
from f2rcli.results.provenance import software
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.slicing import MAX_TURNS, slice_request
from f2rcli.training.checkpoint import complete, write_checkpoint
from f2rcli.training.folder import TrainingFolder, publish
from f2rcli.training.recipe import SftRecipe
from f2rcli.training.samples import Samples
from f2rcli.training.trainer import AnswerTrainer, Keeper, Note, Progress, arguments
from f2rcli.training.tuning import check_peft, prepare
from f2rcli.training.validation import Validator


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
    if folder.finished(as_read):
        note(f"{out}: finished already")
        return folder.checkpoint
    _check_packages(recipe, out)
    args = arguments(recipe, folder.unfinished, choose_device(device))
    writes = args.should_save
    if not writes:
        note, on_progress = (lambda line: None), (lambda done, total: None)
    name, base = _base(recipe.base)
    data, validation = _selections(recipe, data_root)

    with folder.locked() if writes else contextlib.nullcontext():
        if writes:
            identity, described = _description(as_read, name, base, data, validation)
            folder.begin({**identity, "processes": args.world_size}, described, _environment(args))
        args.distributed_state.wait_for_everyone()
        step, state = folder.latest_state()

        loaded = _load(recipe, name, base, state, str(args.device))
        vlm = VLM(loaded, batch_size=recipe.loop.batch_size)
        samples = _samples(recipe, data, vlm, folder, args, note)
        validator = Validator(vlm, validation, folder, args)

        def keep(written: Path, at: int) -> None:
            if not recipe.lora:
                complete(written, base, loaded, "float32")
            folder.keep(written, at)

        seconds = folder.rewind(step) if writes else 0.0
        keeper = Keeper(keep, folder.log, seconds, len(samples), note, on_progress)
        trainer = AnswerTrainer(loaded.model, args, samples, validator.scores, keeper)
        if state:
            note(f"going on from step {step}")
        with _out_of_memory_explained(trainer):
            trainer.train(resume_from_checkpoint=str(state) if state else None)

        if writes:
            final = folder.unfinished / "checkpoint"
            write_checkpoint(loaded, base, recipe, final)
            publish(final, folder.checkpoint)
            folder.finish()
        args.distributed_state.wait_for_everyone()
    return folder.checkpoint if writes else None


def _check_packages(recipe: SftRecipe, out: Path) -> None:
    if recipe.lora:
        check_peft()
    for tracker in recipe.report:
        if importlib.util.find_spec(tracker) is None:
            raise InputError(f"the recipe reports to {tracker}", fix=f"pip install {tracker}")
    if "tensorboard" in recipe.report:
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(out / "tensorboard"))


def _base(model: str) -> tuple[str, Path]:
    """What the base is called where it comes from, and its folder."""
    row = find_row(model, load_rows())
    if row.kind != "transformers" or "adapter" in row.settings:
        raise InputError(
            f"base {model!r} is no checkpoint of its own", fix="`f2r models` lists them; hf:PATH is any"
        )
    name = row.settings["checkpoint"]
    return name, find_checkpoint(name)


def _selections(recipe: SftRecipe, data_root: Path | None) -> tuple[Selection, Selection]:
    """Training data and the requests to validate on. Raises InputError for what is only for testing."""
    found = []
    for spec, limit in ((recipe.data, None), (recipe.validation.data, recipe.validation.requests)):
        task = load_task(spec, data_root)
        if task.test_only:
            raise InputError(f"{task.name} is for testing only", fix="take training or validation data")
        found.append(Selection.of(task, limit, recipe.seed).with_images())
    data, validation = found
    return data, validation


def _description(
    recipe: dict[str, Any], name: str, base: Path, data: Selection, validation: Selection
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the result depends on, by digests, and beside it where that was found."""
    source = provenance(base)
    identity = {
        "recipe": recipe,
        "base": source["digest"],
        **{
            part: {**selection.identity(), "images": selection.images_digest()}
            for part, selection in (("data", data), ("validation", validation))
        },
    }
    described = {
        "base": {"name": name, **source},
        "data": data.describe()["task"],
        "validation": validation.describe()["task"],
    }
    return identity, described


def _environment(args: TrainingArguments) -> dict[str, Any]:
    gpu = args.device.type == "cuda"
    name = torch.cuda.get_device_name(args.device) if gpu else "cpu"
    return {**software(), "device": str(args.device), "device_name": name}


def _load(recipe: SftRecipe, name: str, base: Path, state: Path | None, device: str) -> Loaded:
    """The model as it was left, or as it begins.

    Whole models are read again by transformers' own loading: weights are saved under the names of
    their release, which are not those of the modules, and the Trainer would leave them out silently.
    An adapter's are read by the Trainer.
    """
    dtype = recipe.precision if recipe.lora else "float32"  # what is trained always is in float32
    origin = base if recipe.lora else state or base
    set_seed(recipe.seed)  # an adapter begins with random numbers
    return prepare(load(origin, None, dtype, device, recipe.length.max_pixels), recipe, name)


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
    ends = vlm.generation.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    parts = [part.request for one in data.requests for part in slice_request(one, MAX_TURNS)]
    record = folder.record() or {}
    dropped = record["samples"] and record["samples"]["dropped"]
    if dropped is None:
        everything = Samples(parts, vlm.inputs, ends)
        mine = range(args.process_index, len(parts), args.world_size)
        limit = recipe.length.max_tokens
        dropped = [parts[i].id for i in mine if everything[i].tokens > limit]
        dropped = sorted(gather_object(dropped))
        if args.should_save:
            counts = {"used": len(parts) - len(dropped), "dropped": dropped}
            folder.rewind(-1)
            folder.log({"step": 0, "samples": counts["used"], "dropped": len(dropped), "seconds": 0.0})
            folder.note(samples=counts)
    used = [part for part in parts if part.id not in set(dropped)]
    line = f"{len(used)} samples"
    if dropped:
        line += f"; {len(dropped)} dropped, longer than max_tokens, such as {dropped[0]}"
    note(line)
    if not used:
        raise InputError("every sample is longer than length.max_tokens", where=recipe.name)
    return Samples(used, vlm.inputs, ends)


@contextlib.contextmanager
def _out_of_memory_explained(trainer: AnswerTrainer) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and "can't allocate memory" not in str(error):
            raise
        raise InputError(
            f"out of memory at step {trainer.state.global_step + 1}",
            fix="lower batch_size (and raise accumulation), max_tokens or max_pixels, or set "
            "gradient_checkpointing = true, in another --out; the last state is kept",
        ) from None
