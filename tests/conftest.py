"""What several folders of tests need."""

from pathlib import Path

import pytest
import tiny

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """Inputs and the values that the published scripts give for them."""
    return GOLDEN


@pytest.fixture(scope="session")
def tiny_qwen2_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint in the shape of Qwen2-VL, made once a session."""
    return tiny.qwen2_vl(tmp_path_factory.mktemp("qwen2_vl"))
