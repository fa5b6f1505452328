"""What recipes name and others must have made: data to train on, and checkpoints of an earlier stage."""

from pathlib import Path

from f2rcli.tasks.datasets import Task, load_task
from f2rcli.tasks.errors import InputError
from f2rcli.training.recipe import shipped


def training_task(spec: str, data_root: Path | None) -> Task:
    """The task of that name or file. Raises InputError for what is only for testing."""
    task = load_task(spec, data_root)
    if task.test_only:
        raise InputError(f"{task.name} is for testing only", fix="take training or validation data")
    return task


def check_trained(name: str) -> None:
    """Raises InputError, with the command that makes it, for a checkpoint where `f2r train sft` leaves
    its own by default, if it is not there yet."""
    path = Path(name)
    if path.is_dir() or path.name != "checkpoint" or path.parts[-4:-2] != ("runs", "sft"):
        return
    recipe = path.parent.name
    config = recipe if recipe in shipped() else f"{recipe}.toml"
    raise InputError("no such folder", where=name, fix=f"`f2r train sft --config {config}` makes it")
