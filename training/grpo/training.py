"""`f2r train grpo`, top to bottom: a recipe, a folder, and every step from the one to the other."""

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator, PartialState
from transformers import set_seed

from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.loading import choose_device, load
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.similarity import Vectors
from f2rcli.tasks.slicing import MAX_TURNS, slice_request
from f2rcli.training.curriculum.file import ordered_requests, read_curriculum
from f2rcli.training.failures import out_of_memory_explained
from f2rcli.training.folder import TrainingFolder, publish
from f2rcli.training.grpo.groups import Groups
from f2rcli.training.grpo.log import Log
from f2rcli.training.grpo.order import Order
from f2rcli.training.grpo.policy import Policy
from f2rcli.training.grpo.recipe import GrpoRecipe
from f2rcli.training.grpo.steps import Steps
from f2rcli.training.ingredients import (
    Base,
    Ingredients,
    Note,
    Progress,
    check_trackers,
    environment,
)
from f2rcli.training.rewards import Rewards, vectors_for
from f2rcli.training.validation import Validator

SMALLER = (
    "lower sampling.max_tokens, prompts.max_pixels or max_tokens, or set gradient_checkpointing = true"
)


def train(
    recipe: GrpoRecipe,
    out: Path,
    data_root: Path | None = None,
    device: str | None = None,
    note: Note = lambda line: None,
    on_progress: Progress = lambda done, total: None,
) -> Path | None:
    """Train (or go on training); the folder of the final checkpoint, or None where another writes.

    Raises InputError for whatever the recipe names and is not there or does not fit, for a folder of
    another training, for a loss that is not finite, and where memory runs out. Several processes
    (`accelerate launch`) each call this; the first of them writes. The result is the same on any number
    of processes, up to the order in which gradients are added.
    """
    folder = TrainingFolder(out)
    as_read = json.loads(json.dumps(asdict(recipe)))
    check_trackers(recipe.report, out)
    accelerator = Accelerator(
        cpu=choose_device(device) == "cpu",
        log_with=list(recipe.report) or None,
        project_dir=str(out / "tensorboard"),
    )
    processes, writes = PartialState(), accelerator.is_main_process
    if not writes:
        note, on_progress = (lambda line: None), (lambda done, total: None)
    if folder.finished(as_read):
        note(f"{out}: finished already")
        return folder.checkpoint if writes else None
    _check_shares(recipe, processes)
    parts = Ingredients.find(
        recipe.base, recipe.data, recipe.validation, recipe.seed, data_root, recipe.adapter
    )
    chosen, dropped = _chosen(recipe, parts)
    requests = [part.request for one in chosen.requests for part in slice_request(one, MAX_TURNS)]
    order = Order(len(requests), recipe.loop.prompts, recipe.seed, shuffled=not recipe.curriculum)
    total = recipe.loop.steps or order.steps(recipe.loop.epochs or 1)
    weights = asdict(recipe.rewards)
    vectors = vectors_for(weights, chosen, recipe.encoder, str(accelerator.device))
    note(f"{len(requests)} prompts, {total} steps" + _in_words(dropped))

    number = 0
    with (
        folder.locked() if writes else contextlib.nullcontext(),
        out_of_memory_explained(lambda: number + 1, SMALLER),
    ):
        if writes:
            identity, described = parts.described()
            identity |= {"recipe": as_read, **_files(recipe, vectors)}
            folder.begin(identity, described, environment(accelerator.device))
            if line := _other_model(recipe, identity):
                note(line)
            folder.note(samples={"prompts": len(requests), "dropped": dropped, "steps": total})
        processes.wait_for_everyone()
        begun, state = folder.latest_state()
        number = begun

        policy = _policy(recipe, parts.base, str(accelerator.device))
        vlm = VLM(policy.loaded, batch_size=recipe.loop.prompts)
        groups = Groups(
            policy.loaded, vlm.inputs, requests, order, Rewards(weights, vectors), recipe, vlm.ends
        )
        steps = Steps(policy, groups, recipe, total, processes)
        validator = Validator(vlm, parts.validation, folder, processes)
        log = Log(folder, recipe.loop.log_every, note, accelerator, begun, as_read)
        if state:
            steps.restore(state)
            note(f"going on from step {begun}")
        on_progress(begun, total)
        for number in range(begun, total):
            figures, samples = steps.take(number)
            log.step(number + 1, figures, samples, last=number + 1 == total)
            if (number + 1) % recipe.validation.every == 0 or number + 1 == total:
                log.validation(number + 1, validator.scores(number + 1))
            if (number + 1) % recipe.loop.save_every == 0 and number + 1 < total:
                processes.wait_for_everyone()
                if writes:
                    folder.keep(steps.save(folder.unfinished), number + 1)
                processes.wait_for_everyone()
            on_progress(number + 1, total)
        if writes:
            final = folder.unfinished / "checkpoint"
            policy.write(parts.base.folder, recipe.save_as, final)
            publish(final, folder.checkpoint)
            folder.finish()
        processes.wait_for_everyone()
        log.end()  # last: it ends the processes' connection, too
    return folder.checkpoint if writes else None


def _check_shares(recipe: GrpoRecipe, processes: PartialState) -> None:
    if recipe.loop.prompts % processes.num_processes:
        raise InputError(
            f"loop.prompts {recipe.loop.prompts} cannot be shared out to "
            f"{processes.num_processes} processes",
            where=recipe.name,
            fix="make it a multiple of the number of processes",
        )


def _chosen(recipe: GrpoRecipe, parts: Ingredients) -> tuple[Selection, list[str]]:
    """The requests of the curriculum in its order, or all; and those dropped for too many images.

    Raises InputError if none is left.
    """
    requests = parts.data.requests
    if recipe.curriculum:
        requests = ordered_requests(Path(recipe.curriculum), parts.data)
    limit = recipe.prompts.max_images
    kept = [request for request in requests if len(request.dialogue.images) <= limit]
    if not kept:
        raise InputError("every prompt has more images than prompts.max_images", where=recipe.name)
    dropped = [request.id for request in requests if len(request.dialogue.images) > limit]
    return replace(parts.data, requests=kept), dropped


def _other_model(recipe: GrpoRecipe, identity: dict[str, Any]) -> str | None:
    """A remark if the curriculum is of what was difficult for another model."""
    if not recipe.curriculum:
        return None
    model = read_curriculum(Path(recipe.curriculum)).model
    if model in (None, (identity["base"], identity.get("adapter"))):
        return None
    return f"{recipe.curriculum}: made of another model's answers than {recipe.base}'s"


def _in_words(dropped: list[str]) -> str:
    more = "more images than max_images"
    return f"; {len(dropped)} dropped, {more}, such as {dropped[0]}" if dropped else ""


def _files(recipe: GrpoRecipe, vectors: Vectors | None) -> dict[str, str]:
    """Digests of what only GRPO is made of."""
    found = {"encoder": vectors.digest} if vectors else {}
    return found | ({"curriculum": file_digest(Path(recipe.curriculum))} if recipe.curriculum else {})


def _policy(recipe: GrpoRecipe, base: Base, device: str) -> Policy:
    sft = load(base.folder, base.adapter, recipe.precision, device, recipe.prompts.max_pixels)
    set_seed(recipe.seed)  # an adapter begins with random numbers
    policy = Policy.begin(sft, recipe.lora, base.name)
    if recipe.loop.gradient_checkpointing:
        turn_on: Any = policy.loaded.base.activation_checkpointing_enable
        turn_on({"use_reentrant": False})
    return policy
