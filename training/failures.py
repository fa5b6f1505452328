"""What can go wrong in the middle of a training, as one line."""

import contextlib
from collections.abc import Callable, Iterator

import torch

from f2rcli.tasks.errors import InputError


def not_finite(what: str, value: float, step: int) -> InputError:
    return InputError(
        f"{what} is {value} at step {step}",
        fix="the last state is kept; lower learning_rate (in another --out), or check the data",
    )


@contextlib.contextmanager
def out_of_memory_explained(step: Callable[[], int], fix: str) -> Iterator[None]:
    """Raises InputError, with the step that it happened in, where memory runs out."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and "can't allocate memory" not in str(error):
            raise
        raise InputError(
            f"out of memory at step {step()}", fix=f"{fix}, in another --out; the last state is kept"
        ) from None
