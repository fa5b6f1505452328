"""Faults planted at the vision tower, to see whether the input audit catches them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from f2rcli.adapters.vlm.listening import units_of
from f2rcli.adapters.vlm.model import VLM
from f2rcli.tasks.datasets import load_task

Fault = Callable[[list[Tensor]], list[Tensor]]  # the pictures' values at the tower, in order


def swapped(pictures: list[Tensor]) -> list[Tensor]:
    """The first two pictures in each other's place."""
    return [*pictures[:2][::-1], *pictures[2:]]


def dropped(pictures: list[Tensor]) -> list[Tensor]:
    """All but the first picture."""
    return pictures[1:]


FAULTS: dict[str, Fault] = {
    "two pictures exchanged": swapped,
    "one picture left out": dropped,
}


@contextmanager
def planted(vlm: VLM, fault: Fault) -> Iterator[None]:
    """While it lasts, what arrives at the vision tower has the fault, batch by batch."""

    def plant(argument: int | str, key: str) -> Callable[..., Any]:
        def on_call(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            arrived = args[argument] if isinstance(argument, int) else kwargs[argument]
            if not arrived.is_floating_point():
                return None
            places = vlm.inputs.pictures.places(key, vlm.engine.audit.expected)
            sizes = [len(units_of(made)) for _, _, _, made in places]
            units = units_of(arrived)
            pictures = list(torch.split(units[: sum(sizes)], sizes))
            changed = torch.cat([*fault(pictures), units[sum(sizes) :]])
            if changed.numel() == arrived.numel():
                changed = changed.reshape(arrived.shape)
            if isinstance(argument, int):
                return (*args[:argument], changed, *args[argument + 1 :]), kwargs
            return args, {**kwargs, argument: changed}

        return on_call

    hooks = [  # before the audit's own: what that hears is what the tower gets
        module.register_forward_pre_hook(plant(argument, key), with_kwargs=True, prepend=True)
        for module, argument, key in vlm.engine.audit.towers
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check(vlm: VLM) -> list[tuple[bool, str]]:
    """Asks one request of the example, then the same with each fault; says whether all is well."""
    task = load_task("example")
    request = task.with_images(next(iter(task.requests())))
    (got,) = vlm.retrieve([request])
    pictures = len(request.dialogue.images)
    if got.text is None:
        said = got.failure.message if got.failure else "no answer"
        return [(False, f"a request with {pictures} pictures: not answered ({said})")]
    tokens = got.details["visual_tokens"]
    found = [
        (True, f"a request with {pictures} pictures, {tokens} visual tokens: answered, as it was made")
    ]
    for name, fault in FAULTS.items():
        with planted(vlm, fault):
            (got,) = vlm.retrieve([request])
        caught = got.failure is not None and got.failure.message.startswith("input audit:")
        found.append((caught, f"{name} at the vision tower: {'caught' if caught else 'NOT CAUGHT'}"))
    return found
