"""What several folders of tests need."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import small_sets
import tiny
import tiny_vlms
from hypothesis import settings

from f2rcli.tasks.mini import cache, sets

GOLDEN = Path(__file__).parent / "golden"

# A shell's background jobs ignore Control-C, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a busy machine takes long for is no failure.
settings.register_profile("f2r", deadline=None)
settings.load_profile("f2r")


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Mini sets and checkpoints that the tester has are no part of a test, and a test's are not left
    there."""
    monkeypatch.setenv("F2R_CACHE", str(tmp_path_factory.getbasetemp() / "缓存"))
    empty = str(tmp_path_factory.getbasetemp() / "没有 hub")
    monkeypatch.setenv("HF_HUB_CACHE", empty)  # of processes that a test starts
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", empty)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Inputs and the values that the published scripts give for them."""
    return GOLDEN


@pytest.fixture(scope="session")
def tiny_qwen2_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint in the shape of Qwen2-VL, made once a session."""
    return tiny.qwen2_vl(tmp_path_factory.mktemp("qwen2_vl"))


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The random checkpoint of an architecture by its model_type, each made once a session."""
    made: dict[str, Path] = {}

    def families(name: str) -> Path:
        if name not in made:
            made[name] = tiny_vlms.MAKERS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return families


@pytest.fixture(scope="session", params=tiny_vlms.MAKERS)
def family(request: pytest.FixtureRequest, families: Callable[[str], Path]) -> tuple[str, Path]:
    """An architecture and its checkpoint: a test that takes it runs for each."""
    return request.param, families(request.param)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint in the shape of CLIP, made once a session."""
    return tiny.clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def small_mini(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every mini set is eight dialogues small, and kept in a cache of the test's own."""
    root = tmp_path / "缓存"
    monkeypatch.setenv("F2R_CACHE", str(root))
    monkeypatch.setattr(cache, "expected_digest", small_sets.digest)
    for name, made in small_sets.SMALL.items():
        monkeypatch.setitem(sets.SETS, name, made)
    return root
