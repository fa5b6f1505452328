"""The cache with room: what was read stands at its end, and it grows as the library's own does."""

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from f2rcli.adapters.vlm.engine.cache import ROOM, RoomyLayer, joined, keeps_all

Pair = tuple[Tensor, Tensor]


def states(length: int, seed: int, rows: int = 1) -> Pair:
    """Keys and values of 2 heads and width 3."""
    made = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, rows, 2, length, 3, generator=made)
    return keys, values


def read(*lengths: int, seed: int = 0) -> DynamicCache:
    """The library's cache of one row, a layer a length."""
    cache = DynamicCache()
    for layer, length in enumerate(lengths):
        cache.update(*states(length, seed + layer), layer)
    return cache


def in_front(length: int, whole: int) -> Tensor:
    return torch.zeros(2, whole - length, 3)


def test_shorter_rows_have_zeros_in_front() -> None:
    caches = [read(3, 3, seed=0), read(5, 5, seed=10)]
    cache = joined(caches)
    assert len(cache.layers) == 2
    assert cache.get_seq_length() == 5
    for number, layer in enumerate(cache.layers):
        short, long = (one.layers[number] for one in caches)
        for whole, a, b in (
            (layer.keys, short.keys, long.keys),
            (layer.values, short.values, long.values),
        ):
            assert torch.equal(whole[0], torch.cat([in_front(3, 5), a[0]], 1))
            assert torch.equal(whole[1], b[0])


def test_what_is_added_comes_behind_also_when_the_room_is_used_up() -> None:
    cache = joined([read(4, seed=1), read(4, seed=2)])
    keys, values = cache.layers[0].keys.clone(), cache.layers[0].values.clone()
    length = 4
    for step, width in enumerate([1, ROOM - 2, 1, 1, 7, 2 * ROOM, 3]):
        added = states(width, 100 + step, rows=2)
        keys, values = torch.cat([keys, added[0]], 2), torch.cat([values, added[1]], 2)
        length += width
        assert cache.layers[0].get_mask_sizes(width) == (length, 0)
        for got, wanted in zip(cache.update(*added, 0), (keys, values), strict=True):
            assert torch.equal(got, wanted)
        assert cache.get_seq_length() == length


def test_rows_that_are_dropped_leave_the_others_as_they_were() -> None:
    cache = joined([read(2, seed=1), read(4, seed=2), read(3, seed=3)])
    cache.update(*states(2, 9, rows=3), 0)
    before = cache.layers[0].keys.clone(), cache.layers[0].values.clone()
    cache.batch_select_indices(torch.tensor([0, 2]))
    assert cache.get_seq_length() == 6
    for now, then in zip((cache.layers[0].keys, cache.layers[0].values), before, strict=True):
        assert torch.equal(now, then[[0, 2]])
    added = states(1, 10, rows=2)
    got, _ = cache.update(*added, 0)
    assert torch.equal(got, torch.cat([before[0][[0, 2]], added[0]], 2))


def test_rows_are_copied_and_not_shared() -> None:
    one = read(3)
    kept = one.layers[0].keys.clone()
    cache = joined([one])
    cache.layers[0].keys.zero_()
    cache.update(*states(4, 5), 0)
    assert torch.equal(one.layers[0].keys, kept)


def test_layers_keep_their_own_length_and_precision() -> None:
    half = DynamicCache()
    half.update(*(one.to(torch.bfloat16) for one in states(3, 0)), 0)
    layer = RoomyLayer([half.layers[0]])
    assert layer.keys.dtype == layer.values.dtype == torch.bfloat16
    assert layer.get_seq_length() == 3


@pytest.mark.parametrize(
    ("cache", "kept"),
    [
        (read(3, 3), True),
        (None, False),
        ((), False),
    ],
)
def test_only_a_cache_of_everything_is_joined(cache: object, kept: bool) -> None:
    assert keeps_all(cache) is kept


def test_a_window_does_not_keep_all() -> None:
    cache = read(3, 3)
    cache.layers[1] = DynamicSlidingWindowLayer(sliding_window=2)
    assert not keeps_all(cache)
    cache.layers[1] = type("Other", (DynamicLayer,), {})()
    assert not keeps_all(cache)  # nobody knows what it does
