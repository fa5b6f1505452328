"""A KV cache that has room."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

ROOM = 128  # places


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's keys and values, each rows × heads × length × width, with room behind them.

    It begins with what was read for each row by itself, shorter ones with zeros in front. The library's
    own grows by copying all of it, prompt included, for every token.
    """

    def __init__(self, read: Sequence[DynamicLayer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        keys, values = [layer.keys for layer in read], [layer.values for layer in read]
        assert keys[0] is not None
        assert values[0] is not None
        self.lazy_initialization(keys[0], values[0])
        self.length = max(layer.get_seq_length() for layer in read)
        self._with_room = self._joined(keys), self._joined(values)
        self._look()

    def _joined(self, states: Sequence[Any]) -> Tensor:
        _, heads, _, width = states[0].shape
        whole: Tensor = states[0].new_empty(len(states), heads, self.length + ROOM, width)
        for row, one in zip(whole, states, strict=True):
            begin = self.length - one.shape[-2]
            row[:, :begin] = 0  # masked, but what is not a number would spread all the same
            row[:, begin : self.length] = one[0]
        return whole

    def _look(self) -> None:
        self.keys, self.values = (states[:, :, : self.length] for states in self._with_room)

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        begin, self.length = self.length, self.length + key_states.shape[-2]
        if self.length > self._with_room[0].shape[-2]:
            keys, values = self._with_room
            self._with_room = self._larger(keys, begin), self._larger(values, begin)
        for states, added in zip(self._with_room, (key_states, value_states), strict=True):
            states[:, :, begin : self.length] = added
        self._look()
        return self.keys, self.values  # type: ignore[return-value]

    def _larger(self, states: Tensor, filled: int) -> Tensor:
        rows, heads, _, width = states.shape
        larger = states.new_empty(rows, heads, self.length + ROOM, width)
        larger[:, :, :filled] = states[:, :, :filled]
        return larger

    def get_seq_length(self) -> int:
        return self.length

    def batch_select_indices(self, indices: Tensor) -> None:
        indices = indices.to(self.device)  # layers may be spread over devices
        keys, values = self._with_room
        self._with_room = keys[indices], values[indices]
        self._look()


def joined(caches: Sequence[Any]) -> Cache:
    """One cache of rows that were read by themselves."""
    return Cache([RoomyLayer(layers) for layers in zip(*(c.layers for c in caches), strict=True)])


def keeps_all(cache: Any) -> bool:
    """Whether a cache keeps all of every layer, and not only a window."""
    return isinstance(cache, Cache) and all(type(layer) is DynamicLayer for layer in cache.layers)
