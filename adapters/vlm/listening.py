"""Where in a model its pictures arrive: found by showing it some, whatever its modules are called.

Every module that reads words is left out; of the others, the outermost that gets the very values that
were made of the pictures is the vision tower (DeepSeek-VL 7B has two). A model in which there is none
cannot be audited, and so not be scored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from f2rcli.adapters.vlm.pictures import Pictured, Pictures
from f2rcli.tasks.errors import InputError

Argument = int | str
Tower = tuple[nn.Module, Argument, str]  # a module, its argument, the batch's tensor that arrives there


class Heard:
    """What arrives in one tensor's place, compared picture by picture with what was made of them.

    A picture is a run of units: patches, or tiles and whole pictures of 3 × height × width. They may
    come in one call or in several, and with zeros behind them; their order has to be the record's.
    """

    def __init__(self, key: str, pictures: Pictures, inputs: Sequence[Pictured]) -> None:
        self.made = [
            (row, k, units_of(made)) for row, k, _, made in pictures.places(key, inputs) if made.numel()
        ]
        self.total = sum(len(units) for _, _, units in self.made)
        self.arrived = 0
        self.place = self.offset = 0

    def listen(self, tensor: Tensor) -> list[tuple[int, int]]:
        """(row, picture) of those that are not what was made of them."""
        units = units_of(tensor)
        if self.arrived + len(units) > self.total:  # tiles of zeros that fill a batch up
            units = units[units.flatten(1).ne(0).any(1)]
        self.arrived += len(units)
        wrong = []
        while len(units) and self.place < len(self.made):
            row, k, made = self.made[self.place]
            expected = made[self.offset : self.offset + len(units)]
            if not same(units[: len(expected)], expected):
                wrong.append((row, k))
            units, self.offset = units[len(expected) :], self.offset + len(expected)
            if self.offset == len(made):
                self.place, self.offset = self.place + 1, 0
        return wrong

    @property
    def whole(self) -> bool:
        return self.arrived == self.total


def same(arrived: Tensor, made: Tensor) -> bool:
    """Equal in values, with nothing but zeros where a batch makes it larger."""
    if arrived.ndim != made.ndim or any(a < m for a, m in zip(arrived.shape, made.shape, strict=True)):
        return False
    made = made.to(arrived.device, arrived.dtype)
    if arrived.shape == made.shape:
        return torch.equal(arrived, made)
    inner = arrived[tuple(map(slice, made.shape))]
    return torch.equal(inner, made) and int(arrived.count_nonzero()) == int(made.count_nonzero())


def find_towers(
    base: PreTrainedModel, pictures: Pictures, inputs: Sequence[Pictured], batch: Mapping[str, Tensor]
) -> list[Tower]:
    """The modules and arguments at which the batch's image tensors arrive.

    Raises InputError if one of floating-point values arrives nowhere, or the model does not take the
    batch at all.
    """
    words = _language(base)
    found: dict[tuple[nn.Module, Argument, str], Heard] = {}
    keys = [key for key, layout in pictures.layouts.items() if layout != "count"]

    def listener(module: nn.Module) -> Callable[..., None]:
        def on_call(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given: list[tuple[Argument, Any]] = [*enumerate(args), *kwargs.items()]
            for name, value in given:
                for key in keys if isinstance(value, Tensor) else ():
                    place = (module, name, key)
                    heard = found.get(place) or Heard(key, pictures, inputs)
                    if value.ndim > 1 and not heard.listen(value):
                        found[place] = heard
                    else:
                        found.pop(place, None)

        return on_call

    hooks = [
        module.register_forward_pre_hook(listener(module), with_kwargs=True)
        for module in base.modules()
        if not any(word in module.modules() for word in words)
    ]
    try:
        reach_language(base, batch)
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"does not take what its processor makes ({line[:300]})") from None
    finally:
        for hook in hooks:
            hook.remove()
    towers = [(*place, heard) for place, heard in found.items() if heard.whole]
    order = {id(module): i for i, module in enumerate(base.modules())}
    chosen: list[Tower] = []
    for key in keys:
        at = [tower for tower in towers if tower[2] == key]
        if batch[key].is_floating_point():
            if not at:
                what = f"the input audit has no place to listen in a {base.config.model_type}"
                raise InputError(f"{what}: {key} reaches no module as it was made")
            module, name, _, _ = min(at, key=lambda tower: order[id(tower[0])])
            chosen.append((module, name, key))
    outer = {id(module) for module, _, _ in chosen}
    also = [t[:3] for t in towers if id(t[0]) in outer and not batch[t[2]].is_floating_point()]
    return chosen + also


@torch.inference_mode()
def reach_language(base: PreTrainedModel, batch: Mapping[str, Any]) -> dict[str, Any]:
    """What the language model is called with when the model is called with a batch; it is not run.

    (Nothing for a model that is its own language model.)
    """

    def stop(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        raise _EnoughError(kwargs)

    language = _language(base)[0]
    hook = None if language is base else language.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        base(**batch)
    except _EnoughError as reached:
        return reached.arguments
    finally:
        if hook:
            hook.remove()
    return {}


def _language(base: PreTrainedModel) -> list[Any]:
    """The language model and its embedding of words: what contains them is no vision tower."""
    try:
        return [base.get_decoder(), base.get_input_embeddings()]  # type: ignore[no-untyped-call]
    except Exception:  # of a class that is not in transformers
        what = f"the input audit finds no language model in a {base.config.model_type}"
        raise InputError(what) from None


class _EnoughError(Exception):
    """The language model is reached: all pictures have been seen."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


def units_of(tensor: Tensor) -> Tensor:
    """Units one under the other, whatever rows, tiles and frames they are sorted into."""
    return tensor.flatten(0, -4) if tensor.ndim > 4 else tensor
