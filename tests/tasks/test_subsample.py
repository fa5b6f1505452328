"""A part of a dataset that depends on a seed and on nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import record

from f2rcli.tasks.formats import parse
from f2rcli.tasks.subsample import subsample
from f2rcli.tasks.types import Request

REQUESTS = [replace(parse(record(f"user1: 第{n}句")).requests[0], id=f"{n}") for n in range(12)]


def ids(requests: list[Request]) -> list[str]:
    return [request.id for request in requests]


@given(st.permutations(REQUESTS), st.integers(0, 12), st.integers(0, 12), st.integers())
def test_a_sample_depends_on_seed_and_content_alone(
    order: list[Request], few: int, more: int, seed: int
) -> None:
    few, more = sorted((few, more))
    chosen = subsample(order, few, seed)
    assert len(chosen) == few
    assert set(ids(chosen)) == set(ids(subsample(REQUESTS, few, seed)))
    assert set(ids(chosen)) <= set(ids(subsample(order, more, seed)))
    assert ids(chosen) == [i for i in ids(order) if i in ids(chosen)]


def test_another_name_changes_nothing() -> None:
    renamed = [replace(request, id=f"改名:{request.id}") for request in REQUESTS]
    chosen = [request.dialogue for request in subsample(renamed, 5, seed=3)]
    assert chosen == [request.dialogue for request in subsample(REQUESTS, 5, seed=3)]


@pytest.mark.parametrize("limit", [None, 12, 99])
def test_no_limit_takes_all(limit: int | None) -> None:
    assert subsample(REQUESTS, limit, 0) == REQUESTS


def test_another_seed_chooses_others() -> None:
    assert len({tuple(ids(subsample(REQUESTS, 4, seed))) for seed in range(20)}) > 10
