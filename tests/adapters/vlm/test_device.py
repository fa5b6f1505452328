"""Which device a model is put on. (There need not be a GPU.)"""

import pytest
import torch

from f2rcli.adapters.encoders.pretrained import device_of
from f2rcli.adapters.vlm.loading import choose_device


@pytest.fixture
def current(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine of four GPUs; which was made the current one."""
    made: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return made


@pytest.mark.parametrize(("rank", "own"), [("0", 0), ("3", 3), ("5", 1)])
def test_each_process_of_a_launch_has_a_gpu_of_its_own(
    current: list[int], monkeypatch: pytest.MonkeyPatch, rank: str, own: int
) -> None:
    """As accelerate's PartialState has it: processes share GPUs where there are too few."""
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert choose_device(None) == f"cuda:{own}"
    assert choose_device("cuda") == f"cuda:{own}"
    assert device_of(None) == f"cuda:{own}"
    assert set(current) == {own}


def test_a_device_that_is_named_is_taken(current: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (choose_device("cpu"), choose_device("auto")) == ("cpu", "auto")
    assert current == []


def test_without_a_launch_there_is_no_number(current: list[int]) -> None:
    assert (choose_device(None), current) == ("cuda", [])


def test_without_a_gpu_every_process_computes_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device(None) == "cpu"
