"""Pauses, the gate for all workers, and what endpoints say about waiting."""

import email.utils
import threading
import time

import pytest
from short_chats import request

from f2rcli.adapters.api.crew import lanes
from f2rcli.adapters.api.failures import retry_after
from f2rcli.adapters.api.pacing import ClosedError, Gate, Patience
from f2rcli.tasks.prompts import PromptTemplate


def test_pauses_double_up_to_the_longest_and_differ() -> None:
    patience = Patience(first=1.0, longest=10.0)
    for attempt, most in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (60, 10)):
        pauses = [patience.pause(attempt) for _ in range(50)]
        assert most / 2 <= min(pauses) < max(pauses) <= most


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "120", "retry-after": "7"}, 0.12),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_what_retry_after_means(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date() -> None:
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert retry_after({"retry-after": later}) == pytest.approx(100, abs=5)


def test_a_busy_endpoint_halves_what_goes_out_once_and_answers_raise_it_again() -> None:
    gate = Gate(8)
    for _ in range(5):  # five requests in flight are told so at once
        gate.hold(0.05)
    assert gate.allowed == 4
    for _ in range(4):
        gate.enter()
    assert gate.out == 4
    for _ in range(4):
        gate.leave(well=True)
    assert 4.8 < gate.allowed < 5
    for _ in range(200):
        gate.enter()
        gate.leave(well=True)
    assert gate.allowed == 8


def test_nobody_passes_while_the_endpoint_is_busy() -> None:
    gate = Gate(4)
    gate.hold(0.1)
    held = time.monotonic()
    passed: list[float] = []

    def worker() -> None:
        gate.enter()
        passed.append(time.monotonic() - held)

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(passed) >= 0.099


def test_a_closed_gate_lets_nobody_through_and_wakes_who_waits() -> None:
    gate = Gate(1)
    gate.enter()
    woken = threading.Event()

    def worker() -> None:
        try:
            gate.enter(pause=60)
        except ClosedError:
            woken.set()

    thread = threading.Thread(target=worker)
    thread.start()
    gate.close()
    thread.join(5)
    assert woken.is_set()


def test_a_dialogue_is_one_lane_unless_that_keeps_the_others_waiting() -> None:
    template = PromptTemplate({"": "{query}\n{dialogue}"})

    def asked(dialogue: str, number: int) -> list[str]:
        return [f"{dialogue}{i}" for i in range(number)]

    def made(*names: str) -> list[list[str]]:
        requests = [template.apply(request(name[0], id=name, query=name)) for name in names]
        return [[one.id for one in lane] for lane in lanes(requests, 2)]

    assert made("a0", "b0", "a1", "b1", "c0", "a2") == [["a0", "a1", "a2"], ["b0", "b1"], ["c0"]]
    assert made(*asked("a", 7)) == [["a0", "a1", "a2", "a3"], ["a4", "a5", "a6"]]
    assert made("a0") == [["a0"]]
