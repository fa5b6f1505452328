"""What can go wrong in the middle of a training, as one line."""

import contextlib
from collections.abc import Callable, Iterator

from f2rcli.adapters.vlm.engine.batches import out_of_memory
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
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise InputError(
            f"out of memory at step {step()}", fix=f"{fix}, in another --out; the last state is kept"
        ) from None
