"""One ahead: in order, no further, and what goes wrong in its place."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.adapters.vlm.engine.ahead import ahead


class Source:
    """Numbers, and how many of them were asked for."""

    def __init__(self, count: int) -> None:
        self.count, self.given = count, 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            self.given += 1
            yield number


class BrokenError(Exception):
    pass


def left() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("f2r-ahead")]


@given(st.lists(st.integers(), max_size=6))
def test_all_in_order(numbers: list[int]) -> None:
    assert list(ahead(numbers, str)) == [str(number) for number in numbers]
    assert left() == []


def test_one_ahead_and_no_more() -> None:
    source, started = Source(5), []
    got = ahead(source, lambda number: started.append(number) or number)
    assert (source.given, started) == (0, [])  # nothing before it is asked for
    for number in range(5):
        assert next(got) == number
        assert source.given == min(number + 2, 5)
        assert started in ([*range(number + 1)], [*range(min(number + 2, 5))])
    assert list(got) == []


def test_the_next_one_is_made_meanwhile_in_another_thread() -> None:
    begun, threads = threading.Event(), []

    def make(number: int) -> int:
        threads.append(threading.get_ident())
        if number == 1:
            begun.set()
        return number

    with closing(ahead(range(2), make)) as got:
        assert next(got) == 0
        assert begun.wait(60)  # while nobody asks for it
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_an_exception_comes_in_its_place() -> None:
    def make(number: int) -> int:
        if number == 2:
            raise BrokenError
        return number

    got = ahead(range(4), make)
    assert [next(got), next(got)] == [0, 1]
    with pytest.raises(BrokenError):
        next(got)
    assert list(got) == []
    assert left() == []


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_closed_early_it_makes_no_more(taken: int) -> None:
    source, made = Source(9), []
    with closing(ahead(source, lambda number: made.append(number))) as got:
        for _ in range(taken):
            next(got)
    assert source.given == len(made) == (taken + 1 if taken else 0)  # what was begun is finished
    assert left() == []


def test_control_c_goes_through_at_once() -> None:
    source, made = Source(9), []
    got = ahead(source, lambda number: made.append(number))
    next(got)
    with pytest.raises(KeyboardInterrupt):
        got.throw(KeyboardInterrupt)
    assert (source.given, made) == (2, [0, 1])
    assert left() == []


def test_control_c_while_the_next_one_is_waited_for() -> None:
    def make(number: int) -> int:
        if number == 1:
            raise KeyboardInterrupt
        return number

    source = Source(9)
    got = ahead(source, make)
    assert next(got) == 0
    with pytest.raises(KeyboardInterrupt):
        next(got)
    assert source.given == 3
    assert left() == []
