"""What the tests of runs share."""

from pathlib import Path

import handmade
import pytest


@pytest.fixture(autouse=True)
def _no_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tester's own F2R_DATA is no part of a test."""
    monkeypatch.delenv("F2R_DATA", raising=False)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """A file of one chat with three queries."""
    return handmade.write_chats(tmp_path / "数据")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "运行"
